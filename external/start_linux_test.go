// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStartServesAndCloses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ behaviour, host string }{
		"IPv4":   {"serve", "127.0.0.1"},
		"IPv6":   {"serve6", "::1"},
		"worker": {"worker", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := testMark(t)
			h := start(t, Spec{Argv: fake(t, tc.behaviour, "{port}"), Env: []string{mark}})
			if got, want := h.Addr(), net.JoinHostPort(tc.host, strconv.Itoa(h.Port())); h.Port() == 0 || got != want {
				t.Errorf("Addr = %q, Port = %d; want %q", got, h.Port(), want)
			}
			c := dial(t, h)
			if err := h.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			awaitEOF(t, c)
			if left := carriers(mark); len(left) > 0 {
				t.Errorf("processes %v are left after Close", left)
			}
			if c, err := net.Dial("tcp", h.Addr()); err == nil {
				c.Close()
				t.Error("the port still accepts after Close")
			}
			if err := h.Close(); err != nil {
				t.Errorf("second Close: %v", err)
			}
		})
	}
}

// The port reaches the child by the environment as well, and the same fixed port
// can be used again at once.
func TestFixedPortTwice(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	for range 2 {
		h := start(t, Spec{Argv: fake(t, "serve"), Port: port})
		if h.Port() != port {
			t.Errorf("Port = %d; want %d", h.Port(), port)
		}
		dial(t, h)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// EX-02 and EX-08: an early end is reported at once and with the child's own words.
func TestEarlyExit(t *testing.T) {
	t.Parallel()
	err := startFails(t, Spec{Argv: fake(t, "exit"), StartTimeout: -1})
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("Start: %v; want an *ExitError", err)
	}
	if exit.Code != 3 || exit.Ready || !strings.Contains(exit.Output, "configuration") || !strings.Contains(err.Error(), "line 7") {
		t.Errorf("Start: %#v; want status 3 and the output", exit)
	}
	if strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("the error carries an escape sequence: %q", err)
	}
}

func TestExitIntoTheBackground(t *testing.T) {
	t.Parallel()
	err := startFails(t, Spec{Argv: fake(t, "background"), StartTimeout: -1})
	if !strings.Contains(err.Error(), "foreground") {
		t.Errorf("Start: %v; want the advice to stay in the foreground", err)
	}
}

// EX-03: a child that never listens is ended and reaped when the time is over.
func TestNeverListens(t *testing.T) {
	t.Parallel()
	err := startFails(t, Spec{Argv: fake(t, "never"), StartTimeout: 100 * time.Millisecond})
	if !errors.Is(err, ErrStartTimeout) || !strings.Contains(err.Error(), "{port}") {
		t.Errorf("Start: %v; want ErrStartTimeout with the remedy", err)
	}
}

func TestContextLimitsTheStart(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := Spec{Argv: fake(t, "grandchild", "", pidFile), StartTimeout: -1}.Start(ctx)
		result <- err
	}()
	pid := readPid(t, pidFile)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Start: %v; want context.Canceled", err)
	}
	if exists(pid) {
		t.Errorf("process %d is left", pid)
	}
}

// The context of Start has no say once the proxy runs.
func TestContextEndsAfterStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	h, err := Spec{Argv: fake(t, "serve"), StartTimeout: long}.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	cancel()
	c := dial(t, h)
	fmt.Fprint(c, "CONNECT a:443 HTTP/1.1\r\n\r\nping")
	if _, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\nping"))); err != nil {
		t.Errorf("the proxy does not answer after the context of its start ended: %v", err)
	}
	if err := h.Err(); err != nil {
		t.Errorf("Err = %v; want nil", err)
	}
}

// EX-04: a stranger that answers on the port is not the proxy.
func TestStrangerOnThePort(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			// The stranger takes the port between the check and the child's bind.
			l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skip(err)
			}
			defer l.Close()
			at := place{port: l.Addr().(*net.TCPAddr).Port}
			p, err := launch(Spec{Argv: fake(t, "never")}, at)
			if err != nil {
				t.Fatal(err)
			}
			defer p.kill()
			_, err = p.awaitReady(t.Context(), readiness{at: at, limit: long})
			if !errors.Is(err, ErrStranger) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) {
				t.Errorf("awaitReady: %v; want ErrStranger naming this process", err)
			}
		})
	}
}

// A stranger that shares the port by SO_REUSEPORT would receive half the connections.
func TestStrangerBesideTheChild(t *testing.T) {
	t.Parallel()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	name, _ := unix.Getsockname(fd)
	port := name.(*unix.SockaddrInet4).Port
	p, err := launch(Spec{Argv: fake(t, "share", strconv.Itoa(port))}, place{port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	await(t, "both listen", func() bool { own, _ := p.tree.listening(place{port: port}); return own.at.valid() })
	if _, err := p.awaitReady(t.Context(), readiness{at: place{port: port}, limit: long}); !errors.Is(err, ErrStranger) {
		t.Errorf("awaitReady: %v; want ErrStranger", err)
	}
}

// EX-11: a proxy that other machines can reach is refused, on whatever port.
func TestExposedProxy(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"expose", "expose-other"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			if err := startFails(t, Spec{Argv: fake(t, behaviour), StartTimeout: long}); !errors.Is(err, ErrExposed) {
				t.Errorf("Start: %v; want ErrExposed", err)
			}
		})
	}
}

// EX-14: no descriptor, no secret, no proxy variable of the host reaches the child.
func TestChildInheritsNothing(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://user:secret@proxy.invalid")
	t.Setenv("MY_TOKEN", "secret")
	// As inherited from a careless shell: a descriptor without close-on-exec.
	file, err := os.Create(filepath.Join(t.TempDir(), "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)

	path := filepath.Join(t.TempDir(), "report")
	args := []string{"a b; $(touch x)", "`id`", "", "port={port}"}
	h := start(t, Spec{Argv: fake(t, "report", append([]string{"", path}, args...)...), Env: []string{"MINE=1"}})
	defer h.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got fakeReport
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	args[3] = fmt.Sprintf("port=%d", h.Port())
	if !slices.Equal(got.Args, args) {
		t.Errorf("the child's arguments are %q; want %q", got.Args, args)
	}
	if env := strings.Join(got.Environ, "\n"); strings.Contains(env, "secret") || !strings.Contains(env, "MINE=1") {
		t.Errorf("the child's environment is\n%s", env)
	}
	for _, d := range got.Descriptors {
		if strings.Contains(d, "inherited") || strings.Contains(d, "socket:") {
			t.Errorf("the child holds descriptor %s", d)
		}
	}
}

// A CA bundle that the proxy makes at its first start is waited for.
func TestCABundle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	h := start(t, Spec{Argv: fake(t, "bundle", "", path), CABundle: path})
	if got := h.CABundle(); got != path {
		t.Errorf("CABundle = %q; want %q", got, path)
	}
}

// A child that listens and has no bundle is not ready, and the error tells that from
// one that does not listen, however late the end of the time is noticed.
func TestCABundleMissing(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	p, err := launch(Spec{Argv: fake(t, "serve", "{port}")}, place{port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	await(t, "the child listens", func() bool { own, _ := p.tree.listening(place{port: port}); return own.at.valid() })
	_, err = p.awaitReady(t.Context(), readiness{at: place{port: port}, limit: time.Nanosecond, bundle: filepath.Join(t.TempDir(), "absent")})
	if !errors.Is(err, ErrStartTimeout) || !strings.Contains(err.Error(), "CA bundle") {
		t.Errorf("awaitReady: %v; want ErrStartTimeout that names the bundle", err)
	}
}
