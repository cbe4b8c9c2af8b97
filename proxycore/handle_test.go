// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// foreign makes the handle of a "proxy" that is a plain echo server.
func foreign(t *testing.T, change func(c *HandleConfig)) (*Handle, func(error), *[]string) {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	calls := &[]string{}
	c := HandleConfig{
		Addr:     l.Addr().(*net.TCPAddr).AddrPort(),
		CABundle: "/etc/ca.pem",
		Close:    func() error { *calls = append(*calls, "close"); return l.Close() },
	}
	if change != nil {
		change(&c)
	}
	h, fail := NewHandle(c)
	t.Cleanup(func() { h.Close() })
	return h, fail, calls
}

func TestForeignHandleRelaysWhatIsAttached(t *testing.T) {
	t.Parallel()
	h, _, _ := foreign(t, nil)
	l := listen(t)
	detach, err := h.Attach(l, Listening{Name: "box"})
	if err != nil {
		t.Fatal(err)
	}
	c := dialProxy(t, l.Addr().String()).send("question")
	c.CloseWrite() // the half-close reaches the echo server, which then ends
	expect(t, c.r, "question")
	expectEOF(t, c.r)
	live := dialProxy(t, l.Addr().String()).send("x")
	expect(t, live.r, "x")
	within(t, promptly, "detach", detach)
	expectEOF(t, live.r)
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener still accepts after detach")
	}

	if h.Port() == 0 || h.Addr() == "" || h.CABundle() != "/etc/ca.pem" || h.SocketPath() != "" {
		t.Errorf("Port %d, Addr %q, CABundle %q, SocketPath %q", h.Port(), h.Addr(), h.CABundle(), h.SocketPath())
	}
	env := h.Environ(nil)
	if !slices.Contains(env, "HTTPS_PROXY=http://"+h.Addr()) || !slices.Contains(env, "SSL_CERT_FILE=/etc/ca.pem") {
		t.Errorf("Environ = %q", env)
	}
}

func TestForeignHandleFailsClosed(t *testing.T) {
	t.Parallel()
	h, _, _ := foreign(t, nil)
	if err := h.SetFilter(nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("SetFilter = %v, want ErrUnsupported", err)
	}
	l := listen(t)
	if _, err := h.Attach(l, Listening{Filter: allowing(t, "a.com")}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Attach with a filter = %v, want ErrUnsupported", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
	if _, err := h.Attach(listen(t), Listening{MaxConns: 1}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Attach with a limit = %v, want ErrUnsupported", err)
	}
	nowhere, _ := NewHandle(HandleConfig{})
	defer nowhere.Close()
	if _, err := nowhere.Attach(listen(t), Listening{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Attach to nothing = %v, want ErrUnsupported", err)
	}
}

func TestUnexpectedDeath(t *testing.T) {
	t.Parallel()
	h, fail, calls := foreign(t, nil)
	h = h.WithSocket("/run/a", func() error { *calls = append(*calls, "socket"); return nil })
	l := listen(t)
	if _, err := h.Attach(l, Listening{}); err != nil {
		t.Fatal(err)
	}
	c := dialProxy(t, l.Addr().String()).send("x")
	expect(t, c.r, "x")
	died := errors.New("exit status 1")
	within(t, promptly, "fail", func() { fail(died); <-h.Done() })
	expectEOF(t, c.r)
	fail(errors.New("again"))
	if err := h.Err(); err != died {
		t.Errorf("Err = %v, want %v", err, died)
	}
	if _, err := h.Attach(listen(t), Listening{}); err != ErrClosed {
		t.Errorf("Attach to the dead = %v, want ErrClosed", err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if want := []string{"socket", "close"}; !slices.Equal(*calls, want) {
		t.Errorf("calls = %q, want %q", *calls, want)
	}
}

func TestSocketsCloseFirst(t *testing.T) {
	t.Parallel()
	for _, decorated := range []bool{true, false} {
		plain, _, calls := foreign(t, nil)
		note := func(s string) func() error {
			return func() error { *calls = append(*calls, s); return errors.New(s + " trouble") }
		}
		a := plain.WithSocket("/run/a", note("a"))
		b := a.WithSocket("/run/b", note("b"))
		if a.SocketPath() != "/run/a" || b.SocketPath() != "/run/b" || b.Port() != plain.Port() {
			t.Errorf("SocketPath = %q, %q; Port = %d", a.SocketPath(), b.SocketPath(), b.Port())
		}
		h := plain
		if decorated {
			h = b
		}
		err := h.Close()
		if want := []string{"b", "a", "close"}; !slices.Equal(*calls, want) {
			t.Errorf("calls = %q, want %q", *calls, want)
		}
		if err == nil || !strings.Contains(err.Error(), "a trouble") {
			t.Errorf("Close = %v, want the sockets' errors", err)
		}
		if err := b.Err(); err != nil || !isClosed(a.Done()) {
			t.Errorf("Err = %v, Done closed %v", err, isClosed(a.Done()))
		}
		b.WithSocket("/run/late", note("late"))
		if got := (*calls)[len(*calls)-1]; got != "late" {
			t.Errorf("a socket for a closed handle was not closed: %q", *calls)
		}
	}
}

func TestHandleShutdown(t *testing.T) {
	t.Parallel()
	late := errors.New("late")
	h, _, calls := foreign(t, func(c *HandleConfig) { c.Shutdown = func(context.Context) error { return late } })
	if err := h.Shutdown(t.Context()); !errors.Is(err, late) {
		t.Errorf("Shutdown = %v, want %v", err, late)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("second Shutdown = %v", err)
	}
	if !slices.Equal(*calls, []string{"close"}) {
		t.Errorf("calls = %q", *calls)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	h, err := BuiltIn{}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ap := netip.MustParseAddrPort(h.Addr())
	if h.Port() == 0 || int(ap.Port()) != h.Port() || ap.Addr() != netip.MustParseAddr("127.0.0.1") || h.CABundle() != "" || h.SocketPath() != "" {
		t.Errorf("Addr %q, Port %d, CABundle %q, SocketPath %q", h.Addr(), h.Port(), h.CABundle(), h.SocketPath())
	}
	if got := dialProxy(t, h.Addr()).status(head("github.com:443")); got != 403 {
		t.Errorf("the zero value: status %d, want 403", got)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, b := range map[string]BuiltIn{
		"choose another": {Port: h.Port()},
		"65535":          {Port: 70000},
		"127.0.0.1":      {Addr: "localhost"},
		"Hosts":          {Config: Config{Hosts: map[string][]netip.Addr{"x": nil}}},
	} {
		if _, err := b.Start(t.Context()); err == nil || !strings.Contains(err.Error(), name) || !strings.HasPrefix(err.Error(), "proxycore: ") {
			t.Errorf("%+v: error %v, want one with %q", b, err, name)
		}
	}
	if _, err := (BuiltIn{}).Start(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Start with a cancelled context: %v", err)
	}
}

func TestTwentyAtOnce(t *testing.T) {
	t.Parallel()
	ports := map[int]bool{}
	for range 20 {
		h, err := BuiltIn{}.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		ports[h.Port()] = true
	}
	if len(ports) != 20 {
		t.Errorf("%d different ports, want 20", len(ports))
	}
}
