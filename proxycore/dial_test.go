// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// dialPlan is a Dial hook: the behaviour of each address, and what was dialled.
type dialPlan struct {
	mu    sync.Mutex
	begun []string
	good  string        // this one accepts
	delay time.Duration // after so long
	bad   error         // the others fail with this at once; nil: they hang
}

func (p *dialPlan) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	p.begun = append(p.begun, address)
	p.mu.Unlock()
	if address == p.good {
		select {
		case <-time.After(p.delay):
			a, b := net.Pipe()
			b.Close()
			return a, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if p.bad != nil {
		return nil, p.bad
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func many(n int) []netip.Addr {
	var out []netip.Addr
	for i := range n {
		out = append(out, netip.AddrFrom4([4]byte{140, 82, byte(i >> 8), byte(i)}))
	}
	return out
}

func TestDialTriesAFewAddressesInTurn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		addrs []netip.Addr
		plan  *dialPlan
		begun int
		took  time.Duration
		ok    bool
	}{
		{"the first", many(3), &dialPlan{good: "140.82.0.0:443"}, 1, 0, true},
		{"the first is refused", many(3), &dialPlan{good: "140.82.0.1:443", bad: syscall.ECONNREFUSED}, 2, 0, true},
		{"the first hangs", many(3), &dialPlan{good: "140.82.0.1:443"}, 2, attemptDelay, true},
		{"the fifth of many answers", many(1000), &dialPlan{good: "140.82.0.4:443"}, 5, 4 * attemptDelay, true},
		{"a slow first beats the second", many(2), &dialPlan{good: "140.82.0.0:443", delay: time.Second}, 2, time.Second, true},
		{"all hang", many(1000), &dialPlan{}, 6, 10 * time.Second, false},
		{"all refuse", many(1000), &dialPlan{bad: syscall.ECONNREFUSED}, 6, 0, false},
		{"the sixth of many answers", many(1000), &dialPlan{good: "140.82.0.5:443", bad: syscall.ECONNREFUSED}, 6, 0, true},
		{"the seventh is not tried", many(1000), &dialPlan{good: "140.82.0.6:443", bad: syscall.ECONNREFUSED}, 6, 0, false},
		{"the next begins 250 ms later", many(2), &dialPlan{good: "140.82.0.1:443"}, 2, 250 * time.Millisecond, true},
		{"one hangs", many(1), &dialPlan{}, 1, 10 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &Server{cfg: Config{Dial: tt.plan.dial}.withDefaults()}
				began := time.Now()
				c, _, err := s.dial(t.Context(), tt.addrs, 443)
				if took := time.Since(began); took != tt.took || (err == nil) != tt.ok {
					t.Errorf("took %v, error %v; want %v, ok %v", took, err, tt.took, tt.ok)
				}
				if c != nil {
					c.Close()
				}
				if len(tt.plan.begun) != tt.begun {
					t.Errorf("attempts %q, want %d", tt.plan.begun, tt.begun)
				}
			})
		})
	}
}

func TestDialOrderAlternates(t *testing.T) {
	t.Parallel()
	got := dialOrder(addrs("2600::1", "2600::2", "2600::3", "2600::4", "1.1.1.1", "1.1.1.2"))
	if want := addrs("2600::1", "1.1.1.1", "2600::2", "1.1.1.2", "2600::3", "2600::4"); !slices.Equal(got, want) {
		t.Errorf("order = %v, want %v", got, want)
	}
}

func TestDialFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		status int
		reason Reason
		error  string
	}{
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 502, DialError, "connection_refused"},
		{"no route", &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, 502, DialError, "destination_ip_unroutable"},
		{"other", errors.New("x"), 502, DialError, "destination_unavailable"},
		{"kernel time-out", &net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}, 504, DialTimeout, "connection_timeout"},
		{"no descriptor", &net.OpError{Op: "dial", Err: syscall.EMFILE}, 503, LimitExceeded, "connection_limit_reached"},
		{"our time-out", nil, 504, DialTimeout, "connection_timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, []string{"*"}, func(_ *world, b *BuiltIn) {
				b.DialTimeout = 200 * time.Millisecond
				b.Dial = (&dialPlan{bad: tt.err}).dial
			})
			res, _ := w.client().send(head("github.com:443")).reply()
			contains(t, "Proxy-Status", res.Header.Get("Proxy-Status"), "error="+tt.error, string(tt.reason))
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if r := w.record(); r.Reason != tt.reason || (r.Decision == DecisionAllow) != (tt.status != 503) {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestDefaultDialerAndRefusedPort(t *testing.T) {
	t.Parallel()
	l := listen(t)
	w := newWorld(t, []string{"127.0.0.1:*"}, func(_ *world, b *BuiltIn) { b.Dial = nil })
	if got := w.client().status(head(l.Addr().String())); got != 200 {
		t.Errorf("status %d, want 200", got)
	}
	if got := w.client().status(head(deadAddr(t))); got != 502 {
		t.Errorf("status %d for a closed port, want 502", got)
	}
}

func TestPanickingDialEndsOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"*"}, func(w *world, b *BuiltIn) {
		w.resolver.answers["two.com."] = many(2)
		b.Dial = func(context.Context, string, string) (net.Conn, error) { panic("bug") }
	})
	for _, target := range []string{"github.com:443", "two.com:443"} {
		if got := w.client().status(head(target)); got != 502 {
			t.Errorf("%s: status %d, want 502", target, got)
		}
	}
}

func TestOwnListenersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"127.0.0.0/8:*", "[::1]:*", "[::]:*", "0.0.0.0:*", "localhost:*", "*:*"}, func(w *world, b *BuiltIn) {
		w.resolver.answers["loop.com."] = addrs("127.0.0.1")
		b.Dial = nil
	})
	wild, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.h.Attach(wild, Listening{Name: "wild"}); err != nil {
		t.Fatal(err)
	}
	own, wildPort := strconv.Itoa(w.h.Port()), strconv.Itoa(wild.Addr().(*net.TCPAddr).Port)
	targets := []string{
		"127.0.0.1:" + own, "localhost:" + own, "LOCALHOST.:" + own, "a.localhost:" + own, "loop.com:" + own,
		"[::ffff:127.0.0.1]:" + own, "0.0.0.0:" + own,
		"127.0.0.1:" + wildPort, "127.1.2.3:" + wildPort, "[::1]:" + wildPort, "localhost:" + wildPort,
	}
	for _, target := range targets {
		res, _ := w.client().send(head(target)).reply()
		if res.StatusCode != 403 {
			t.Errorf("%s: status %d, want 403", target, res.StatusCode)
		}
		if r := w.record(); r.Reason != AddressNotAllowed {
			t.Errorf("%s: record = %+v", target, r)
		}
	}
	if got := w.client().status(head(w.origin.Addr().String())); got != 200 {
		t.Errorf("another listener: status %d, want 200", got)
	}
}

func TestHostsOwnAddressNeedsAPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow   []string
		allowed bool
	}{
		{[]string{"*"}, false},
		{[]string{"*", "140.82.112.3"}, true},
		{[]string{"*", "140.82.112.3:22"}, false},
	} {
		s, err := NewServer(Config{Filter: allowing(t, tt.allow...)})
		if err != nil {
			t.Fatal(err)
		}
		s.local.addrs = map[netip.Addr]bool{public: true} // as if an interface had it
		for _, target := range []Target{{Host: "github.com", Port: 443}, {Addr: public, Port: 443}} {
			if got := s.checkLocal(s.filter, target, []netip.Addr{public}); got.Allowed != tt.allowed {
				t.Errorf("allow %q: %v: %+v, want allowed %v", tt.allow, target, got, tt.allowed)
			}
		}
	}
}

// Only what was checked is unmapped. An address that is not can only come from a
// fault between the check and the socket, and the last look must catch it.
func TestDialerTakesTheLastLook(t *testing.T) {
	t.Parallel()
	l := listen(t)
	s := &Server{cfg: Config{}.withDefaults()}
	ap := l.Addr().(*net.TCPAddr).AddrPort()
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	d := s.attempt(t.Context(), ap)
	if d.err != nil {
		t.Fatalf("the checked address: %v", d.err)
	}
	d.conn.Close()
	unchecked := netip.AddrPortFrom(netip.AddrFrom16(ap.Addr().As16()), ap.Port())
	if d := s.attempt(t.Context(), unchecked); !errors.Is(d.err, errDialPolicy) {
		t.Errorf("attempt(%v) = %v, %v; want %v", unchecked, d.conn, d.err, errDialPolicy)
	}
}

// What the last look catches is told to the client as what it is.
func TestUncheckedAddressIsForbidden(t *testing.T) {
	t.Parallel()
	d := plainAttempt(t.Context(), netip.MustParseAddrPort("[::ffff:140.82.112.3]:443"), 0)
	if d.conn != nil {
		d.conn.Close()
		t.Fatal("connected to an address that was not checked")
	}
	if r := dialRefusal(d.err); r.status != 403 || r.reason != AddressNotAllowed {
		t.Errorf("refusal = %+v for %v", r, d.err)
	}
}
