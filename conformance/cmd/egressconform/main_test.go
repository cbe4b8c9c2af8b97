// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// envCLI makes the test binary the command; roleProxy, as its first argument, a proxy for it to test.
const (
	envCLI    = "EGRESSCONFORM_TEST_CLI"
	roleProxy = "test-proxy"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == roleProxy:
		os.Exit(proxy(os.Args[2:]))
	case os.Getenv(envCLI) != "":
		main()
	}
	os.Exit(m.Run())
}

// proxy is the reference proxy as a command: HOW PORT ALLOW DENY SOCKET HEAD [UPSTREAM CA CREDENTIALS], where HOW is a
// fault of it or a way for a command to go wrong.
func proxy(args []string) int {
	how, port := args[0], args[1]
	switch how {
	case "exits":
		fmt.Println("cannot read my configuration")
		return 7
	case "hangs":
		select {}
	case "mute", "closes":
		return mute(port, how == "closes")
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "elsewhere":
		port = "0"
	}
	o := refproxy.Options{SocketPath: args[4], NoTCP: port == "-", Faults: refproxy.Faults{refproxy.Fault(how)}}
	o.Port, _ = strconv.Atoi(port)
	head, _ := strconv.Atoi(args[5])
	o.HeadTimeout = time.Duration(head) * time.Second
	o.Allow = lines(args[2])
	o.Deny = lines(args[3])
	if len(args) > 6 && args[6] != "" {
		o.Upstream = upstream(args[6], args[7], args[8])
	}
	p, err := refproxy.Start(o)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	end := make(chan os.Signal, 1)
	if how != "stubborn" {
		signal.Notify(end, syscall.SIGTERM)
	}
	select {
	case <-end:
	case <-p.Done():
		return 1
	}
	if err := p.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func upstream(url, ca, credentials string) *refproxy.Upstream {
	u := &refproxy.Upstream{URL: url, CAFile: ca}
	if text, err := os.ReadFile(credentials); err == nil {
		u.User, u.Password, _ = strings.Cut(strings.TrimSuffix(string(text), "\n"), ":")
	}
	return u
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// mute accepts connections and says nothing, or ends them.
func mute(port string, closes bool) int {
	l, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		return 1
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		if closes {
			c.Close()
			continue
		}
		go io.Copy(io.Discard, c)
	}
}

// testProxy is the command line for the proxy that goes wrong in one way.
func testProxy(how string) string {
	return fmt.Sprintf("%s %s %s {port} {allow} {deny} '{socket}' {head-timeout}", os.Args[0], roleProxy, how)
}

// tcpProxy is the same without the socket.
func tcpProxy(how string) string {
	return fmt.Sprintf("%s %s %s {port} {allow} {deny} '' {head-timeout}", os.Args[0], roleProxy, how)
}

// chained is tcpProxy with all the words for upstreams.
func chained(how string) string {
	return tcpProxy(how) + " '{upstream}' '{upstream-ca}' '{upstream-credentials}'"
}

// few are checks that cost little and say much.
var few = []string{"--run", "DENY-00[12].*", "--timeout-scale", "0.3"}

// cli runs the command and returns what it printed and its status.
func cli(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), envCLI+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%q: %v\n%s%s", args, err, &out, &errOut)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}
