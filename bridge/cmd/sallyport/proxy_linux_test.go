// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readyLine is what proxy prints when it is ready.
type readyLine struct {
	Addr    string
	Port    int
	Socket  string
	Control []string
}

// startProxy starts sallyport proxy and reads its ready line.
func startProxy(t *testing.T, args ...string) (*proc, readyLine) {
	t.Helper()
	p := newProc(t, append([]string{"proxy"}, args...)...).start()
	var r readyLine
	line := p.line()
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	return p, r
}

// tunnel asks for target and returns the status and, for 200, the connection
// behind the origin's greeting.
func tunnel(t *testing.T, network, addr, target string) (status string, c net.Conn) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatalf("dialling the proxy: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("reading the reply: %v", err)
	}
	status = strings.Fields(line)[1]
	for status == "200" && line != "hello\n" {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatalf("reading the greeting: %v", err)
		}
	}
	return status, c
}

// wantEnd checks that a tunnel ends without another byte.
func wantEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if data, err := io.ReadAll(c); len(data) > 0 || os.IsTimeout(err) {
		t.Errorf("got %q, %v, want the end of the tunnel", data, err)
	}
}

func TestProxyReady(t *testing.T) {
	t.Parallel()
	target := origin(t)
	p, r := startProxy(t, "--allow", target+",127.0.0.2:1")
	if want := fmt.Sprintf("127.0.0.1:%d", r.Port); r.Addr != want || r.Port == 0 || r.Socket != "" {
		t.Errorf("got %+v, want an address with its port and no socket", r)
	}
	if got, _ := tunnel(t, "tcp", r.Addr, "denied.example:443"); got != "403" {
		t.Errorf("denied: got %s, want 403", got)
	}
	p.says("reason=host_not_allowed")
	if got, _ := tunnel(t, "tcp", r.Addr, "127.0.0.2:1"); got != "502" {
		t.Errorf("allowed, but nobody there: got %s, want 502", got)
	}
	p.says("msg=failed host=127.0.0.2 port=1 reason=dial_error")
	got, c := tunnel(t, "tcp", r.Addr, target)
	if got != "200" {
		t.Errorf("allowed: got %s, want 200", got)
	}
	c.Close()
	p.signal(syscall.SIGTERM)
	if got := p.finish(0); got != "" {
		t.Errorf("got %q on stdout, want nothing but the ready line", got)
	}
}

func TestProxySocket(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		tcp  bool
	}{{"with a port", nil, true}, {"alone", []string{"--listen", "none"}, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := origin(t)
			path := filepath.Join(t.TempDir(), "proxy.sock")
			p, r := startProxy(t, append([]string{"--allow", target, "--socket", path}, tt.args...)...)
			if r.Socket != path || (r.Port > 0) != tt.tcp || (r.Addr != "") != tt.tcp {
				t.Errorf("got %+v, want socket %s and a port: %v", r, path, tt.tcp)
			}
			got, c := tunnel(t, "unix", path, target)
			if got != "200" {
				t.Errorf("got %s, want 200", got)
			}
			c.Close()
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("socket: got %v, %v, want mode 0600", info, err)
			}
			p.signal(syscall.SIGINT)
			p.finish(0)
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("the socket is left: %v", err)
			}
		})
	}
}

func TestProxyReload(t *testing.T) {
	t.Parallel()
	target := origin(t)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	set := func(content string) {
		t.Helper()
		if err := os.WriteFile(policy, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("allow: ['" + target + "']\n")
	p, r := startProxy(t, "--policy", policy)
	status, live := tunnel(t, "tcp", r.Addr, target)
	if status != "200" {
		t.Fatalf("got %s, want 200", status)
	}

	for i, bad := range []string{"alow: []\n", "", "allow: [.x.com]\n", "allow: ['" + target + "']\nresolve: {a.com: 10.0.0.1}\n"} {
		set(bad)
		before := strings.Count(p.stderr.String(), "was not reloaded")
		p.signal(syscall.SIGHUP)
		p.says([]string{"alow", "is empty", ".x.com", "restart"}[i])
		if strings.Count(p.stderr.String(), "was not reloaded") == before {
			t.Errorf("%q: the error does not say that the old policy stays:\n%s", bad, p.stderr)
		}
		if got, c := tunnel(t, "tcp", r.Addr, target); got != "200" {
			t.Errorf("%q: got %s, want 200 from the old policy", bad, got)
		} else {
			c.Close()
		}
	}

	set("allow: []\n")
	p.signal(syscall.SIGHUP)
	wantEnd(t, live)
	p.says("policy reloaded")
	if got, _ := tunnel(t, "tcp", r.Addr, target); got != "403" {
		t.Errorf("narrowed: got %s, want 403", got)
	}
	set("allow: ['" + target + "']\n")
	p.signal(syscall.SIGHUP)
	p.says("allow_patterns=1")
	if got, c := tunnel(t, "tcp", r.Addr, target); got != "200" {
		t.Errorf("widened: got %s, want 200", got)
	} else {
		c.Close()
	}
	p.signal(syscall.SIGTERM)
	p.finish(0)
}

func TestProxyDrains(t *testing.T) {
	t.Parallel()
	target := origin(t)
	p, r := startProxy(t, "--allow", target)
	_, live := tunnel(t, "tcp", r.Addr, target)
	p.signal(syscall.SIGTERM)
	p.says("draining")
	if _, err := live.Write([]byte("still carried")); err != nil {
		t.Errorf("writing into the tunnel: %v", err)
	}
	live.Close()
	p.finish(0)
}

func TestProxySecondSignalCuts(t *testing.T) {
	t.Parallel()
	target := origin(t)
	p, r := startProxy(t, "--allow", target)
	_, live := tunnel(t, "tcp", r.Addr, target)
	p.signal(syscall.SIGTERM)
	p.says("draining")
	p.signal(syscall.SIGTERM)
	wantEnd(t, live)
	p.finish(0)
}

func TestProxyLogFailureEndsIt(t *testing.T) {
	t.Parallel()
	p, r := startProxy(t, "--allow", "a.com", "--log", "/dev/full")
	c, err := net.Dial("tcp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "CONNECT b.com:443 HTTP/1.1\r\nHost: b.com:443\r\n\r\n")
	p.finish(1)
	if got := p.stderr.String(); !strings.Contains(got, "decision log /dev/full: cannot be written") {
		t.Errorf("got stderr %q, want the reason", got)
	}
}

// TestProxyLosesLastRecord: a record that is lost while the proxy stops is a failure,
// and said once.
func TestProxyLosesLastRecord(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *proc, live net.Conn){
		"cut":     func(p *proc, _ net.Conn) { p.signal(syscall.SIGTERM) },
		"drained": func(_ *proc, live net.Conn) { live.Close() },
	} {
		target := origin(t)
		p, r := startProxy(t, "--allow", target, "--log", "/dev/full")
		_, live := tunnel(t, "tcp", r.Addr, target)
		p.signal(syscall.SIGTERM)
		p.says("draining")
		end(p, live)
		p.finish(1)
		_, stopping, _ := strings.Cut(p.stderr.String(), "sallyport: stopping: ")
		if got := strings.Count(stopping, "cannot be written"); got != 1 {
			t.Errorf("%s: the reason is there %d times in %q, want once", name, got, p.stderr.String())
		}
	}
}

func TestProxyLogToStderr(t *testing.T) {
	t.Parallel()
	p, r := startProxy(t, "--allow", "a.com", "--log", "-")
	if got, _ := tunnel(t, "tcp", r.Addr, "b.com:443"); got != "403" {
		t.Errorf("got %s, want 403", got)
	}
	p.says(`"reason":"host_not_allowed"`)
	p.signal(syscall.SIGTERM)
	p.finish(0)
}

func TestProxyCannotStart(t *testing.T) {
	t.Parallel()
	busy := origin(t)
	foreign := t.TempDir()
	if os.Getuid() == 0 {
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	} else {
		foreign = "/" // root's own, and not ours to write to
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 120))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		stderr string
	}{
		{"port in use", []string{"--listen", busy}, strings.TrimPrefix(busy, "127.0.0.1:")},
		{"socket in another user's directory", []string{"--socket", foreign + "/s"}, foreign},
		{"socket path too long", []string{"--socket", long}, "bytes"},
		{"socket over a file", []string{"--socket", file}, file},
		{"socket in no directory", []string{"--socket", "/nonexistent/s"}, "/nonexistent: no such file or directory: make its directory first"},
		{"log in no directory", []string{"--log", "/nonexistent/l"}, "/nonexistent/l: cannot be opened for appending: no such file or directory; make its directory first"},
		{"socket where none can be made", []string{"--socket", "/sys/s"}, "choose a path in a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProc(t, append([]string{"proxy", "--allow", "a.com"}, tt.args...)...).start()
			if got := p.finish(1); got != "" {
				t.Errorf("got stdout %q, want no ready line", got)
			}
			if got := p.stderr.String(); !strings.HasPrefix(got, "sallyport: ") || !strings.Contains(got, tt.stderr) {
				t.Errorf("got stderr %q, want %q in it", got, tt.stderr)
			}
		})
	}
	t.Cleanup(func() {
		if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
			t.Errorf("the file at the socket's path: got %q, %v, want it untouched", data, err)
		}
	})
}
