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
	"runtime"
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
	within(t, promptly, "Close", func() { w.h.Close() })
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

// The proxy holds bytes that the client does not take. Its sockets must end with
// the end of the stream all the same, not with a reset.
func TestCloseUnderBackPressure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	_, o := w.tunnel("github.com:443")
	for chunk, err := make([]byte, 256<<10), error(nil); err == nil; {
		o.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		_, err = o.Write(chunk)
	}
	within(t, promptly, "Close", func() { w.h.Close() })
	expectEOF(t, o)
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
		within(t, promptly, "Close during "+name, func() { w.h.Close() })
		io.Copy(io.Discard, c)
		if len(w.dials()) != 0 {
			t.Errorf("%s: dialled %q", name, w.dials())
		}
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

// A Record hook must not wait for the end of the proxy, but may set it off, and
// may change the policy.
func TestRecordHookChangesTheProxy(t *testing.T) {
	t.Parallel()
	changes := map[string]func(h *Handle, detach func()){
		"Close":     func(h *Handle, _ func()) { go h.Close() },
		"Shutdown":  func(h *Handle, _ func()) { go h.Shutdown(context.Background()) },
		"detach":    func(_ *Handle, detach func()) { go detach() },
		"SetFilter": func(h *Handle, _ func()) { h.SetFilter(nil) },
	}
	for name, change := range changes {
		var w *world
		detach := make(chan func(), 1)
		w = newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
			b.Record = func(r Record) error {
				if r.Host == "evil.com" {
					change(w.h, <-detach)
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
		dialProxy(t, l.Addr().String()).send(head("evil.com:443"))
		within(t, 5*time.Second, "the tunnel's end by "+name, func() { io.Copy(io.Discard, other) })
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

// A record is lost, and before the server has ended for that reason, somebody ends it
// for another. He must learn of it, or nobody would.
func TestLostRecordMeetsClose(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Handle) error{
		"close":    (*Handle).Close,
		"shutdown": func(h *Handle) error { return h.Shutdown(t.Context()) },
	} {
		lost := errors.New("no space left")
		failed, goOn := make(chan struct{}), make(chan struct{})
		calls := 0
		w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
			b.Record = func(Record) error { // one call at a time
				if calls++; calls == 1 {
					return lost
				}
				close(failed)
				<-goOn
				return nil
			}
		})
		w.tunnel("github.com:443")
		c, origin := w.tunnel("github.com:443")
		c.Close()
		origin.Close()
		<-failed // the first record is lost, and that of the other tunnel holds up the end
		ended := make(chan error, 1)
		go func() { ended <- end(w.h) }()
		if name == "close" {
			for w.h.Ready() == nil {
				runtime.Gosched() // until Close has begun
			}
		}
		close(goOn)
		if err := errors.Join(<-ended, w.h.Err()); !errors.Is(err, lost) {
			t.Errorf("%s = %v, want %v", name, err, lost)
		}
	}
}
