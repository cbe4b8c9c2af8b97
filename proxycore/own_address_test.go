// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"net"
	"net/netip"
	"testing"
)

// ownPublic starts a proxy on a host one of whose interfaces has the address
// public, and opens a tunnel to it.
func ownPublic(t *testing.T) (*Server, *client, *world) {
	t.Helper()
	w := &world{t: t, records: make(chan Record, 10)}
	origin := listen(t)
	s, err := NewServer(Config{
		Filter:   allowing(t, "github.com", public.String()),
		Resolver: &fakeResolver{answers: map[string][]netip.Addr{"github.com.": {public}}},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, origin.Addr().String())
		},
		Record: func(r Record) error { w.records <- r; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.local.addrs = map[netip.Addr]bool{public: true} // as if an interface had it
	l := listen(t)
	go s.Serve(l, Listening{})
	c := dialProxy(t, l.Addr().String())
	if got := c.status(head("github.com:443")); got != 200 {
		t.Fatalf("status %d, want 200", got)
	}
	return s, c, w
}

// What a new request would be refused for, a live tunnel is cut for: here that no
// address pattern admits the host's own address any more.
func TestSetFilterCutsTunnelsToTheHostItself(t *testing.T) {
	t.Parallel()
	s, c, w := ownPublic(t)
	s.SetFilter(allowing(t, "github.com", "140.82.112.0/24"))
	w.noRecord()
	s.SetFilter(allowing(t, "github.com"))
	expectEOF(t, c.r)
	if r := w.record(); r.Reason != PolicyClosed {
		t.Errorf("record = %+v, want policy_closed", r)
	}
}

// A zone in an answer does not make the host's address another one.
func TestZonesDoNotHideTheHostsAddresses(t *testing.T) {
	t.Parallel()
	own := netip.MustParseAddr("2600::1")
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.local.addrs = map[netip.Addr]bool{own: true}
	s.reachable[&serving{addr: netip.MustParseAddrPort("[::1]:3128")}] = struct{}{}
	f := allowing(t, "*:*", "[::1]:*")
	for target, addr := range map[Target]netip.Addr{
		{Host: "github.com", Port: 443}:  own.WithZone("lo"),
		{Host: "github.com", Port: 3128}: netip.IPv6Loopback().WithZone("lo"),
	} {
		if d := s.checkLocal(f, target, []netip.Addr{addr}); d.Allowed {
			t.Errorf("%v at %v is allowed", target, addr)
		}
	}
}
