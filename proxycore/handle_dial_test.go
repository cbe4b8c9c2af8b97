// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// attached gives the address of a listener that h serves.
func attached(t *testing.T, h *Handle) string {
	t.Helper()
	l := listen(t)
	if _, err := h.Attach(l, Listening{}); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Dial is used in place of Addr, its context ends with the connection and not
// before, and whoever closes what it gave cuts the tunnel.
func TestHandleDial(t *testing.T) {
	t.Parallel()
	contexts := make(chan context.Context, 2)
	conns := make(chan net.Conn, 2)
	h, _, _ := foreign(t, func(c *HandleConfig) {
		there := c.Addr.String()
		c.Addr = netip.MustParseAddrPort(deadAddr(t))
		c.Dial = func(ctx context.Context) (net.Conn, error) {
			conn, err := net.Dial("tcp", there)
			contexts <- ctx
			conns <- conn
			return conn, err
		}
	})
	addr := attached(t, h)
	c := dialProxy(t, addr).send("x")
	expect(t, c.r, "x")
	ctx := <-contexts
	if err := ctx.Err(); err != nil {
		t.Errorf("the context of a live connection is over: %v", err)
	}
	(<-conns).Close()
	expectEOF(t, c.r)
	within(t, promptly, "the end of the context", func() { <-ctx.Done() })

	c = dialProxy(t, addr).send("y")
	expect(t, c.r, "y")
	c.Close()
	within(t, promptly, "the end of the context", func() { <-(<-contexts).Done() })
}

// A proxy that cannot be reached costs the client its connection, and Close does not
// wait for an attempt that goes on.
func TestHandleDialFails(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"error": func(context.Context) (net.Conn, error) { return nil, errors.New("sorry") },
		"slow":  func(ctx context.Context) (net.Conn, error) { close(asked); <-ctx.Done(); return nil, ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _, _ := foreign(t, func(c *HandleConfig) { c.Dial = dial })
			c := dialProxy(t, attached(t, h))
			if name == "slow" {
				<-asked
				within(t, promptly, "Close", func() { h.Close() })
			}
			expectEOF(t, c.r)
		})
	}
}

// A proxy that listens on a Unix socket itself is reached there.
func TestHandleSocket(t *testing.T) {
	t.Parallel()
	l := listenUnix(t)
	h, _ := NewHandle(HandleConfig{Socket: l.Addr().String()})
	defer h.Close()
	if got := h.SocketPath(); got != l.Addr().String() {
		t.Errorf("SocketPath = %q, want %q", got, l.Addr())
	}
	c := dialProxy(t, attached(t, h)).send("x")
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	expect(t, far, "x")
	if err := far.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, c.r)
	if got := h.WithSocket("/run/a", func() error { return nil }).SocketPath(); got != "/run/a" {
		t.Errorf("SocketPath = %q, want that of WithSocket", got)
	}
}

// Ready is the proxy's own word while it is not over, and then says what ended it.
func TestHandleReady(t *testing.T) {
	t.Parallel()
	down, died := errors.New("down"), errors.New("died")
	var answer error // of the hook
	ready := func(c *HandleConfig) { c.Ready = func() error { return answer } }
	h, fail, _ := foreign(t, ready)
	closed, _, _ := foreign(t, ready)
	plain, _, _ := foreign(t, nil)
	if h.Ready() != nil || plain.Ready() != nil {
		t.Errorf("Ready = %v and %v, want nil", h.Ready(), plain.Ready())
	}
	answer = down
	if err := h.Ready(); err != down {
		t.Errorf("Ready = %v, want the hook's %v", err, down)
	}
	answer = nil
	fail(died)
	closed.Close()
	if err := h.Ready(); err != died {
		t.Errorf("Ready of the dead = %v, want %v", err, died)
	}
	if err := closed.Ready(); err != ErrClosed {
		t.Errorf("Ready of the closed = %v, want ErrClosed", err)
	}
}
