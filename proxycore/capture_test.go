// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestCaptureErrors(t *testing.T) {
	t.Parallel()
	closed := newWorld(t, nil, nil)
	closed.h.Close()
	other, _ := NewHandle(HandleConfig{Addr: netip.MustParseAddrPort("127.0.0.1:9")})
	defer other.Close()
	l := func() net.Listener { return listen(t) }
	for name, c := range map[string]struct {
		h    *Handle
		c    Capture
		want error // nil: any
	}{
		"nothing":     {newWorld(t, nil, nil).h, Capture{}, nil},
		"a nil":       {newWorld(t, nil, nil).h, Capture{Proxy: l(), Connections: []net.Listener{l(), nil}}, nil},
		"a nil UDP":   {newWorld(t, nil, nil).h, Capture{Proxy: l(), Queries: []*net.UDPConn{nil}}, nil},
		"closed":      {closed.h, Capture{Connections: []net.Listener{l()}}, ErrClosed},
		"unsupported": {other, Capture{Proxy: l(), QueryStreams: []net.Listener{l()}}, ErrNoCapture},
		"a filter":    {other, Capture{Proxy: l()}, nil},
	} {
		_, err := c.h.Capture(c.c, Listening{Filter: allowing(t)})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		for _, l := range slices.Concat(c.c.Connections, c.c.QueryStreams, []net.Listener{c.c.Proxy}) {
			if l != nil {
				expectClosed(t, name, l)
			}
		}
	}
	if !errors.Is(ErrNoCapture, errors.ErrUnsupported) {
		t.Error("ErrNoCapture does not wrap errors.ErrUnsupported")
	}
}

// A backend that takes requests only takes those of a sandbox, too.
func TestCaptureOfRequestsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	h, _ := NewHandle(HandleConfig{Addr: netip.MustParseAddrPort(w.h.Addr())})
	defer h.Close()
	l := listen(t)
	detach, err := h.Capture(Capture{Proxy: l}, Listening{Name: "one"})
	if err != nil {
		t.Fatal(err)
	}
	c := dialProxy(t, l.Addr().String())
	if got := c.status(head("github.com:443")); got != 200 {
		t.Errorf("status %d, want 200", got)
	}
	detach()
	expectEOF(t, c.r)
	expectClosed(t, "after detach", l)
}

func TestHandleFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	if f := w.h.Filter(); f.Len() != 1 {
		t.Errorf("the filter has %d patterns, want 1", f.Len())
	}
	next := allowing(t, "a.test", "b.test")
	w.h.SetFilter(next)
	if w.h.Filter() != next {
		t.Error("the filter is not the one that was set")
	}
	other, _ := NewHandle(HandleConfig{})
	defer other.Close()
	if other.Filter() != nil {
		t.Error("a backend with a policy of its own has a filter")
	}
}

func TestDetachEndsACapture(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *sandbox){
		"detach":   func(s *sandbox) { s.detach(); s.detach() },
		"Close":    func(s *sandbox) { s.h.Close() },
		"Shutdown": func(s *sandbox) { s.h.Shutdown(gone()) },
	} {
		w := newWorld(t, []string{"github.com", "203.0.113.7"}, nil)
		s, other := w.capture(Listening{}), w.capture(Listening{})
		c, o := s.captured("203.0.113.7:443")
		c2, o2 := other.captured("203.0.113.7:443")
		stream := dialProxy(t, s.streams.Addr().String())
		stream.send(framed(ask(t, "github.com.", dnsmessage.TypeA, nil)))
		readFramed(t, stream.r)
		within(t, promptly, name, func() { end(s) })
		expectEOF(t, c.r)
		expectEOF(t, o)
		expectEOF(t, stream.r)
		for _, l := range []net.Listener{s.proxy, s.connections, s.streams} {
			expectClosed(t, name, l)
		}
		if name == "detach" {
			c2.send("alive")
			expect(t, o2, "alive")
			other.lookUp("github.com.", dnsmessage.TypeA)
		}
	}
}

// A dial in progress ends with the sandbox, and its client sees no orderly end of
// a connection that never was.
func TestDetachWhileConnecting(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	w := newWorld(t, []string{"203.0.113.7"}, func(_ *world, b *BuiltIn) {
		b.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	s := w.capture(Listening{})
	c := s.connect("203.0.113.7:443")
	<-entered
	within(t, promptly, "detach", s.detach)
	expectReset(t, c)
	if r := w.record(); r.Method != MethodTCP || r.Decision != DecisionAllow {
		t.Errorf("record = %+v", r)
	}
}

func TestShutdownDrainsACapture(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"203.0.113.7"}, nil)
	s := w.capture(Listening{})
	c, o := s.captured("203.0.113.7:443")
	stream := dialProxy(t, s.streams.Addr().String())
	stream.send(framed(ask(t, "github.com.", dnsmessage.TypeMX, nil)))
	readFramed(t, stream.r)
	w.record()
	done := make(chan error, 1)
	go func() { done <- w.h.Shutdown(context.Background()) }()
	expectEOF(t, stream.r)
	c.send("still open")
	expect(t, o, "still open")
	c.Close()
	o.Close()
	within(t, promptly, "Shutdown", func() {
		if err := <-done; err != nil {
			t.Errorf("Shutdown = %v", err)
		}
	})
}

func TestSetFilterAppliesToACapture(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com", "203.0.113.7"}, nil)
	s, own := w.capture(Listening{}), w.capture(Listening{Filter: allowing(t, "github.com")})
	for _, x := range []*sandbox{s, own} {
		if got := x.lookUp("github.com.", dnsmessage.TypeA); got != "Success A 198.18.0.1" {
			t.Fatalf("github.com: %s", got)
		}
	}
	cut, cutOrigin := s.captured("198.18.0.1:443")
	kept, keptOrigin := s.captured("203.0.113.7:443")
	ownClient, ownOrigin := own.captured("198.18.0.1:443")
	w.h.SetFilter(allowing(t, "203.0.113.7"))
	expectEOF(t, cut.r)
	expectEOF(t, cutOrigin)
	if r := w.record(); r.Method != MethodTCP || r.Host != "github.com" || r.Reason != PolicyClosed {
		t.Errorf("record = %+v, want policy_closed", r)
	}
	kept.send("alive")
	expect(t, keptOrigin, "alive")
	ownClient.send("alive")
	expect(t, ownOrigin, "alive")

	if got := s.lookUp("github.com.", dnsmessage.TypeA); got != "NameError SOA" {
		t.Errorf("github.com under the new policy: %s", got)
	}
	if r := w.record(); r.Method != MethodDNS || r.Host != "github.com" || r.Port != 0 || r.Decision != DecisionDeny || r.Reason != HostNotAllowed || r.Client == "" {
		t.Errorf("record = %+v", r)
	}
	// Who has kept the address is refused as the name it stands for.
	s.refused("198.18.0.1:443")
	if r := w.record(); r.Host != "github.com" || r.Reason != HostNotAllowed {
		t.Errorf("record = %+v", r)
	}
	if got := own.lookUp("github.com.", dnsmessage.TypeA); got != "Success A 198.18.0.1" {
		t.Errorf("github.com under a policy of its own: %s", got)
	}
	// The name has its address again when the policy has it again.
	w.h.SetFilter(allowing(t, "gitlab.com", "github.com"))
	s.lookUp("gitlab.com.", dnsmessage.TypeA)
	if got := s.lookUp("github.com.", dnsmessage.TypeA); got != "Success A 198.18.0.1" {
		t.Errorf("github.com under the old policy: %s", got)
	}
}

// A policy of a sandbox's own is replaced for it alone, and goes back to the server's.
func TestReplaceFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"gitlab.com"}, nil)
	old := allowing(t, "github.com", "203.0.113.7")
	s, other := w.capture(Listening{Filter: old}), w.capture(Listening{Filter: allowing(t, "203.0.113.7")})
	s.lookUp("github.com.", dnsmessage.TypeA)
	cut, cutOrigin := s.captured("198.18.0.1:443")
	kept, keptOrigin := other.captured("203.0.113.7:443")
	next := allowing(t, "203.0.113.7")
	if err := w.h.ReplaceFilter(old, next); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, cut.r)
	expectEOF(t, cutOrigin)
	if r := w.record(); r.Host != "github.com" || r.Reason != PolicyClosed {
		t.Errorf("record = %+v, want policy_closed", r)
	}
	if err := w.h.ReplaceFilter(old, nil); err != nil { // nobody's any more
		t.Fatal(err)
	}
	mine, mineOrigin := s.captured("203.0.113.7:443")
	if err := w.h.ReplaceFilter(nil, nil); err != nil { // nobody's own
		t.Fatal(err)
	}
	mine.send("alive")
	expect(t, mineOrigin, "alive")
	if err := w.h.ReplaceFilter(next, nil); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, mine.r)
	w.record()
	if got := s.lookUp("gitlab.com.", dnsmessage.TypeA); got != "Success A 198.18.0.2" {
		t.Errorf("under the server's own policy: %s", got)
	}
	kept.send("alive")
	expect(t, keptOrigin, "alive")
}

// One limit for everything of a sandbox, and none of it takes another's places.
func TestCaptureSharesItsLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com", "203.0.113.7"}, nil)
	s := w.capture(Listening{Name: "full", MaxConns: 3})
	s.captured("203.0.113.7:443")
	if got := dialProxy(t, s.proxy.Addr().String()).status(head("github.com:443")); got != 200 {
		t.Fatalf("status %d", got)
	}
	w.accept()
	stream := dialProxy(t, s.streams.Addr().String())
	stream.send(framed(ask(t, "github.com.", dnsmessage.TypeA, nil)))
	readFramed(t, stream.r)

	s.refused("203.0.113.7:443")
	if r := w.record(); r.Method != MethodTCP || r.Host != "203.0.113.7" || r.Port != 443 || r.Reason != LimitExceeded {
		t.Errorf("record = %+v", r)
	}
	if got := dialProxy(t, s.proxy.Addr().String()).status(head("github.com:443")); got != 503 {
		t.Errorf("one request too many: status %d, want 503", got)
	}
	w.record()
	expectEOF(t, dialProxy(t, s.streams.Addr().String()))
	if r := w.record(); r.Method != MethodDNS || r.Reason != LimitExceeded {
		t.Errorf("record = %+v", r)
	}
	other := w.capture(Listening{MaxConns: 1})
	other.captured("203.0.113.7:443")
}

// A query whose refusal cannot be recorded ends the proxy, as a request does.
func TestRefusedQueryThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
		b.Record = func(Record) error { return errDisk }
	})
	s := w.capture(Listening{})
	dialProxy(t, s.streams.Addr().String()).send(framed(ask(t, "evil.com.", dnsmessage.TypeA, nil)))
	within(t, promptly, "the end of the proxy", func() { <-w.h.Done() })
	if !errors.Is(w.h.Err(), errDisk) {
		t.Errorf("Err = %v, want the record's error", w.h.Err())
	}
}
