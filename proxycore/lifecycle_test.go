// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestCloseEndsLiveTunnels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	c, o := w.tunnel("github.com:443")
	c.send("up")
	expect(t, o, "up")
	// Bytes in flight must not turn the end into a reset.
	io.WriteString(o, "down")
	expect(t, c.r, "down")
	addr := w.h.Addr()
	within(t, time.Second, "Close", func() { w.h.Close() })
	expectEOF(t, c.r)
	expectEOF(t, o)
	if r := w.record(); r.BytesUp != 2 || r.BytesDown != 4 || r.Decision != DecisionAllow {
		t.Errorf("record = %+v", r)
	}
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after Close: %v, want connection refused", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the port cannot be bound again: %v", err)
	}
	l.Close()
	if err := w.h.Err(); err != nil || !isClosed(w.h.Done()) {
		t.Errorf("Err = %v, Done closed %v; want nil, true", err, isClosed(w.h.Done()))
	}
}

func TestCloseInEveryPhase(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	hang := func(ctx context.Context, _, _ string) (net.Conn, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	phases := map[string]struct {
		sent   string
		change func(w *world, b *BuiltIn)
	}{
		"head":   {"CONNECT git", func(*world, *BuiltIn) { entered <- struct{}{} }},
		"lookup": {head("github.com:443"), func(w *world, b *BuiltIn) { w.resolver.block, w.resolver.entered = make(chan struct{}), entered }},
		"dial":   {head("github.com:443"), func(w *world, b *BuiltIn) { b.Dial = hang }},
		"linger": {head("evil.com:443"), func(w *world, b *BuiltIn) { b.Record = func(Record) error { entered <- struct{}{}; return nil } }},
	}
	for name, p := range phases {
		w := newWorld(t, []string{"github.com"}, p.change)
		c := w.client().send(p.sent)
		<-entered
		within(t, time.Second, "Close during "+name, func() { w.h.Close() })
		io.Copy(io.Discard, c)
		if len(w.dials()) != 0 {
			t.Errorf("%s: dialled %q", name, w.dials())
		}
	}
}

func TestClientGoneDuringLookupOrDial(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"lookup", "dial"} {
		cancelled := make(chan struct{})
		entered := make(chan struct{}, 1)
		w := newWorld(t, []string{"github.com"}, func(w *world, b *BuiltIn) {
			if phase == "lookup" {
				w.resolver.block, w.resolver.entered = make(chan struct{}), entered
				close(cancelled)
				return
			}
			b.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				entered <- struct{}{}
				<-ctx.Done()
				close(cancelled)
				return nil, ctx.Err()
			}
		})
		c := w.client().send(head("github.com:443") + "sent ahead")
		<-entered
		c.SetLinger(0)
		c.Close()
		within(t, time.Second, "giving up the "+phase, func() { <-cancelled; <-w.records })
	}
}

func TestEndsInAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	w.tunnel("github.com:443")
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for range 4 {
		wg.Go(func() { w.h.Close() })
		wg.Go(func() { w.h.Shutdown(ctx) })
		wg.Go(func() { w.h.SetFilter(nil) })
	}
	within(t, 5*time.Second, "Close and Shutdown from many goroutines", wg.Wait)
	if err := w.h.Close(); err != nil {
		t.Errorf("Close after Close: %v", err)
	}

	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close() // before Serve
	l := listen(t)
	if err := s.Serve(l, Listening{}); err != ErrClosed {
		t.Errorf("Serve after Close: %v, want ErrClosed", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
}

func TestEndsFromInsideARecordHook(t *testing.T) {
	t.Parallel()
	ends := map[string]func(h *Handle, detach func()){
		"Close":    func(h *Handle, _ func()) { h.Close() },
		"Shutdown": func(h *Handle, _ func()) { h.Shutdown(context.Background()) },
		"detach":   func(_ *Handle, detach func()) { detach() },
	}
	for name, end := range ends {
		var w *world
		detach := make(chan func(), 1)
		w = newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
			b.Record = func(r Record) error {
				if r.Host == "evil.com" {
					end(w.h, <-detach)
				}
				return nil
			}
		})
		l := listen(t)
		cut, err := w.h.Attach(l, Listening{})
		if err != nil {
			t.Fatal(err)
		}
		detach <- cut
		other := dialProxy(t, l.Addr().String())
		if name == "Shutdown" {
			other.CloseWrite() // a live tunnel would hold it up
		} else if got := other.status(head("github.com:443")); got != 200 {
			t.Fatalf("status %d", got)
		}
		c := dialProxy(t, l.Addr().String()).send(head("evil.com:443"))
		within(t, 5*time.Second, name+" inside a Record hook", func() { io.Copy(io.Discard, c) })
		within(t, 5*time.Second, "Close after "+name, func() { w.h.Close() })
	}
}

func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	idle := w.client().send("CONN") // no request yet: closed at once
	c, o := w.tunnel("github.com:443")
	done := make(chan error, 1)
	go func() { done <- w.h.Shutdown(context.Background()) }()
	expectEOF(t, idle)
	c.send("still open")
	expect(t, o, "still open")
	if _, err := net.Dial("tcp", w.h.Addr()); err == nil {
		t.Error("a new connection was taken while draining")
	}
	c.Close()
	o.Close()
	within(t, 5*time.Second, "Shutdown", func() {
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
	})

	w = newWorld(t, []string{"github.com"}, nil)
	c, o = w.tunnel("github.com:443")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown that had to cut = %v, want deadline exceeded", err)
	}
	expectEOF(t, c.r)
	expectEOF(t, o)
}

func TestSetFilterCutsWhatItRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com", "gitlab.com"}, func(w *world, b *BuiltIn) {
		w.resolver.answers["gitlab.com."] = addrs("140.82.112.4")
	})
	kept, keptOrigin := w.tunnel("github.com:443")
	cut, cutOrigin := w.tunnel("gitlab.com:443")
	l := listen(t)
	if _, err := w.h.Attach(l, Listening{Name: "own", Filter: allowing(t, "gitlab.com")}); err != nil {
		t.Fatal(err)
	}
	own := dialProxy(t, l.Addr().String())
	if got := own.status(head("gitlab.com:443")); got != 200 {
		t.Fatalf("status %d", got)
	}
	ownOrigin := w.accept()

	if err := w.h.SetFilter(allowing(t, "github.com")); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, cut.r)
	expectEOF(t, cutOrigin)
	if r := w.record(); r.Reason != PolicyClosed || r.Host != "gitlab.com" || r.Decision != DecisionAllow {
		t.Errorf("record = %+v", r)
	}
	for _, p := range []struct {
		c *client
		o net.Conn
	}{{kept, keptOrigin}, {own, ownOrigin}} {
		p.c.send("alive")
		expect(t, p.o, "alive")
	}
	if got := w.client().status(head("gitlab.com:443")); got != 403 {
		t.Errorf("a new request: status %d, want 403", got)
	}
	// A tunnel to an address that is no longer admitted is cut, too.
	if err := w.h.SetFilter(func() *Filter {
		f, err := NewFilter(Policy{Allow: []string{"github.com"}, Deny: []string{"140.82.112.0/24"}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}()); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, kept.r)
}

func TestFilterChangedWhileDialling(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, []string{"github.com"}, func(w *world, b *BuiltIn) {
		b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			close(entered)
			<-release
			return w.dial(ctx, network, address)
		}
	})
	c := w.client().send(head("github.com:443"))
	<-entered
	w.h.SetFilter(nil)
	close(release)
	if res, _ := c.reply(); res.StatusCode != 403 {
		t.Errorf("status %d, want 403", res.StatusCode)
	}
	expectEOF(t, w.accept())
}

func TestRecordErrorClosesTheServer(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]func(Record) error{
		"error": func(Record) error { return errDisk },
		"panic": func(Record) error { panic(errDisk) },
	} {
		first := true
		w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
			b.Record = func(r Record) error {
				if !first {
					return nil
				}
				first = false
				return hook(r)
			}
		})
		c, o := w.tunnel("github.com:443")
		io.Copy(io.Discard, w.client().send(head("evil.com:443")))
		within(t, 5*time.Second, name+": the end of the handle", func() { <-w.h.Done() })
		if err := w.h.Err(); err == nil || !strings.Contains(err.Error(), errDisk.Error()) {
			t.Errorf("%s: Err = %v, want the record's error", name, err)
		}
		expectEOF(t, c.r)
		expectEOF(t, o)
		if _, err := net.Dial("tcp", w.h.Addr()); err == nil {
			t.Errorf("%s: the port is still served", name)
		}
		if err := w.h.Close(); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
	}
}

func TestResetsReachTheOtherSide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	c, o := w.tunnel("github.com:443")
	o.SetLinger(0)
	o.Close()
	if n, err := c.r.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("origin reset: the client read %d, %v", n, err)
	}
	c, o = w.tunnel("github.com:443")
	c.SetLinger(0)
	c.Close()
	if n, err := o.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client reset: the origin read %d, %v", n, err)
	}
}

func TestTunnelLimits(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world, *BuiltIn){
		"idle":  func(_ *world, b *BuiltIn) { b.IdleTimeout = 50 * time.Millisecond },
		"total": func(_ *world, b *BuiltIn) { b.TunnelTimeout = 50 * time.Millisecond },
	} {
		w := newWorld(t, []string{"github.com"}, change)
		c, o := w.tunnel("github.com:443")
		within(t, 5*time.Second, name+" limit", func() { expectEOF(t, c.r); expectEOF(t, o) })
	}
	// Off: the tunnel outlives the head's and the dial's time limits.
	w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
		b.HeadTimeout, b.DialTimeout = 100*time.Millisecond, 100*time.Millisecond
	})
	c, o := w.tunnel("github.com:443")
	<-time.After(300 * time.Millisecond)
	c.send("alive")
	expect(t, o, "alive")
	io.WriteString(o, "and well")
	expect(t, c.r, "and well")
}

func TestBlockedCloseSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	logged := make(chan string, 100)
	s, err := NewServer(Config{
		Filter:   allowing(t, "github.com"),
		Resolver: &fakeResolver{answers: map[string][]netip.Addr{"github.com.": {public}}},
		Dial: func(context.Context, string, string) (net.Conn, error) { // deaf to its context
			close(entered)
			<-release
			return nil, errors.New("late")
		},
		Logger: slog.New(slog.NewTextHandler(lineWriter(logged), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.blockedAfter = 20 * time.Millisecond
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l, Listening{}) }()
	dialProxy(t, l.Addr().String()).send(head("github.com:443"))
	<-entered
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	contains(t, "log", <-logged, "closing is blocked", "github.com:443", "connecting")
	if isClosed(closed) {
		t.Error("Close returned while a dial was in progress")
	}
	close(release)
	within(t, 5*time.Second, "Close", func() { <-closed; <-served })
}

// lineWriter sends each line it is given to a channel.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	select {
	case w <- string(bytes.TrimSpace(p)):
	default:
	}
	return len(p), nil
}
