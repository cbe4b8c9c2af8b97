// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// realProgram finds a proxy that people really use. In CI it has to be there.
func realProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed, and CI must not pass without it: %v", name, err)
	default:
		t.Skipf("%s is not installed: %v", name, err)
	}
	return ""
}

// writeConfig writes a configuration that a proxy which gave up root can still read.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// connectStatus asks the proxy for target and returns the status of the answer.
func connectStatus(t *testing.T, h *proxycore.Handle, target string) int {
	t.Helper()
	return connectOver(t, dial(t, h), target)
}

func connectOver(t *testing.T, c net.Conn, target string) int {
	t.Helper()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatalf("CONNECT %s: %v", target, err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// origin accepts connections until the test ends, and returns its address.
func origin(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// checkReal asks for an allowed and a denied target and closes the proxy.
func checkReal(t *testing.T, h *proxycore.Handle, allowed string) {
	t.Helper()
	if got := connectStatus(t, h, allowed); got != http.StatusOK {
		t.Errorf("CONNECT to the allowed origin = %d; want 200", got)
	}
	if got := connectStatus(t, h, "denied.invalid:443"); got != http.StatusForbidden {
		t.Errorf("CONNECT to a denied name = %d; want 403", got)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := net.Dial("tcp", h.Addr()); err == nil {
		t.Error("the port still accepts after Close")
	}
}

func TestTinyproxy(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "tinyproxy")
	allowed := origin(t)
	filter := writeConfig(t, `^127\.0\.0\.1$`+"\n")
	port := freePort(t)
	_, originPort, _ := net.SplitHostPort(allowed)
	config := writeConfig(t, fmt.Sprintf(
		"Listen 127.0.0.1\nPort %d\nFilter %q\nFilterExtended On\nFilterDefaultDeny Yes\nConnectPort %s\nConnectPort 443\nLogLevel Info\n",
		port, filter, originPort))
	mark := testMark(t)
	h := start(t, Spec{Argv: []string{program, "-d", "-c", config}, Env: []string{mark}, Port: port})
	checkReal(t, h, allowed)
	if left := carriers(mark); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

const squidConfig = `
# The port comes from the command line: squid -n {port}.
http_port 127.0.0.1:${service_name}
acl origin dst 127.0.0.1/32
acl name dstdomain -n 127.0.0.1
http_access allow CONNECT name
http_access deny all
acl CONNECT method CONNECT
cache deny all
access_log none
cache_log stdio:/dev/stderr
pid_filename none
shutdown_lifetime 1 seconds
`

func TestSquid(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "squid")
	config := writeConfig(t, squidConfig)
	mark := testMark(t)
	h := start(t, Spec{Argv: []string{program, "-N", "-n", "{port}", "-f", config}, Env: []string{mark}, leftovers: sharedMemory("{port}")})
	checkReal(t, h, origin(t))
	if left := carriers(mark); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// EX-08: Squid's own explanation is part of the error.
func TestSquidBadConfig(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "squid")
	config := writeConfig(t, squidConfig+"http_access allow no_such_acl\n")
	err := startFails(t, Spec{Argv: []string{program, "-N", "-n", "{port}", "-f", config}, StartTimeout: long, leftovers: sharedMemory("{port}")})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code == 0 || !strings.Contains(exit.Output, "no_such_acl") {
		t.Errorf("Start: %v; want an *ExitError that quotes Squid", err)
	}
}

// A Squid left to go into the background is not one that can be watched.
func TestSquidInTheBackground(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "squid")
	config := writeConfig(t, squidConfig)
	err := startFails(t, Spec{Argv: []string{program, "-n", "{port}", "-f", config}, StartTimeout: long, leftovers: sharedMemory("{port}")})
	if !strings.Contains(err.Error(), "foreground") {
		t.Errorf("Start: %v; want the advice to stay in the foreground", err)
	}
}
