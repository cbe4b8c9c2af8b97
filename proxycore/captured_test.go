// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// What a program connects to after it has looked up a name is that name.
func TestCapturedConnectionToAName(t *testing.T) {
	t.Parallel()
	s := newWorld(t, []string{"github.com:22"}, nil).capture(Listening{Name: "one"})
	for typ, c := range map[dnsmessage.Type]struct{ told, to string }{
		dnsmessage.TypeA:    {"Success A 198.18.0.1", "198.18.0.1:22"},
		dnsmessage.TypeAAAA: {"Success AAAA fd73:616c:6c79::1", "[fd73:616c:6c79::1]:22"},
	} {
		if got := s.lookUp("github.com.", typ); got != c.told {
			t.Errorf("the address of github.com is %s, want %s", got, c.told)
		}
		client, origin := s.captured(c.to)
		io.WriteString(origin, "SSH-2.0-") // the origin speaks first
		expect(t, client.r, "SSH-2.0-")
		client.send("up")
		expect(t, origin, "up")
		client.CloseWrite() // one direction ends, the other goes on
		expectEOF(t, origin)
		io.WriteString(origin, "more")
		expect(t, client.r, "more")
		origin.Close()
		expectEOF(t, client.r)
		r := s.record()
		r.Time, r.Duration, r.Client = r.Time.Truncate(0), 0, ""
		want := Record{Time: r.Time, Sandbox: "one", Method: MethodTCP, Host: "github.com", Port: 22, Address: public.String() + ":22",
			Decision: DecisionAllow, Rule: "github.com:22", BytesUp: 2, BytesDown: 13}
		if r != want {
			t.Errorf("record = %+v, want %+v", r, want)
		}
	}
	if got := s.resolver.questions(); len(got) != 2 {
		t.Errorf("the resolver was asked %q; an answered query must ask nobody", got)
	}
	s.noRecord()
}

func TestCapturedConnectionIsJudged(t *testing.T) {
	t.Parallel()
	allow := []string{"github.com", "private.com", "203.0.113.7:5432", "198.18.0.0/15:*", "localhost:8080", "nowhere.com"}
	for _, c := range []struct {
		lookUp, to, host string
		reason           Reason
	}{
		{"", "203.0.113.7:5432", "203.0.113.7", ""},
		{"", "[::ffff:203.0.113.7]:5432", "203.0.113.7", ""},
		{"", "127.0.0.1:8080", "localhost", ""},
		{"", "[::1]:8080", "localhost", ""},
		{"", "127.0.0.1:8081", "127.0.0.1", AddressNotAllowed},
		{"", "127.0.0.2:8080", "127.0.0.2", AddressNotAllowed},
		{"", "203.0.113.7:443", "203.0.113.7", PortNotAllowed},
		{"", "140.82.112.3:443", "140.82.112.3", AddressNotAllowed}, // github.com's, but not asked for by name
		{"", "169.254.169.254:80", "169.254.169.254", AddressNotAllowed},
		{"", "198.18.0.1:443", "198.18.0.1", AddressNotAllowed}, // nobody was told it
		{"", "[fd73:616c:6c79::1]:443", "fd73:616c:6c79::1", AddressNotAllowed},
		{"github.com.", "198.18.0.1:443", "github.com", ""},
		{"github.com.", "198.18.0.1:22", "github.com", PortNotAllowed},
		{"github.com.", "198.18.0.2:443", "198.18.0.2", AddressNotAllowed},
		{"private.com.", "198.18.0.1:443", "private.com", AddressNotAllowed},
		{"nowhere.com.", "198.18.0.1:443", "nowhere.com", DNSError},
		{"", "", "", MalformedRequest},
		{"", "203.0.113.7:0", "", MalformedRequest},
	} {
		w := newWorld(t, allow, nil)
		s := w.capture(Listening{})
		if c.lookUp != "" {
			s.lookUp(c.lookUp, dnsmessage.TypeA)
		}
		if c.reason == "" {
			client, origin := s.captured(c.to)
			client.Close()
			expectEOF(t, origin)
			origin.Close()
		} else {
			s.refused(c.to)
			if got := w.dials(); len(got) != 0 {
				t.Errorf("%s: dialled %q", c.to, got)
			}
		}
		if r := w.record(); r.Method != MethodTCP || r.Host != c.host || r.Reason != c.reason || (r.Decision == DecisionDeny) != (c.reason != "" && c.reason != DNSError) {
			t.Errorf("%s after a query for %q: record = %+v, want host %q and reason %q", c.to, c.lookUp, r, c.host, c.reason)
		}
		w.noRecord()
		w.h.Close()
	}
}

// A connection that cannot be made ends like one that is refused.
func TestCapturedConnectionThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"203.0.113.7"}, func(_ *world, b *BuiltIn) {
		b.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	})
	s := w.capture(Listening{})
	s.refused("203.0.113.7:443")
	if r := w.record(); r.Decision != DecisionAllow || r.Reason != DialError {
		t.Errorf("record = %+v, want allow, dial_error", r)
	}
}

func TestCapturedConnectionPanics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"*:*"}, nil)
	s := &sandbox{world: w, connections: listen(t)}
	_, err := w.h.Capture(Capture{
		Connections: []net.Listener{s.connections},
		Original:    func(net.Conn) (netip.AddrPort, error) { panic("hook") },
	}, Listening{})
	if err != nil {
		t.Fatal(err)
	}
	s.refused("")
	if r := w.record(); r.Decision != DecisionDeny {
		t.Errorf("record = %+v, want deny", r)
	}
}

// A program that honours the proxy variables but looks names up itself asks for
// their addresses.
func TestRequestForAnAddressOfAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com", "198.18.0.0/15"}, nil)
	s := w.capture(Listening{})
	s.lookUp("github.com.", dnsmessage.TypeA)
	for target, want := range map[string]struct {
		status int
		host   string
	}{
		"198.18.0.1:443":           {200, "github.com"},
		"[fd73:616c:6c79::1]:443":  {200, "github.com"},
		"198.18.0.1:22":            {403, "github.com"},
		"198.18.0.9:443":           {403, "198.18.0.9"},
		"[fd73:616c:6c79::1:1]:80": {403, "fd73:616c:6c79::1:1"},
	} {
		c := dialProxy(t, s.proxy.Addr().String())
		if got := c.status(head(target)); got != want.status {
			t.Errorf("CONNECT %s: status %d, want %d", target, got, want.status)
		}
		c.Close()
		if want.status == 200 {
			w.accept().Close()
		}
		if r := w.record(); r.Host != want.host || r.Method != "CONNECT" {
			t.Errorf("CONNECT %s: record = %+v, want host %s", target, r, want.host)
		}
	}
	// What is attached alone has no names, and another sandbox has its own.
	if got := w.client().status(head("198.18.0.1:443")); got != 200 {
		t.Errorf("the address asked for without a capture: status %d, want 200 as the pattern says", got)
	}
	other := w.capture(Listening{})
	if got := dialProxy(t, other.proxy.Addr().String()).status(head("198.18.0.1:443")); got != 403 {
		t.Errorf("another sandbox's address: status %d, want 403", got)
	}
}

// Through an upstream goes the name that a captured connection stands for.
func TestCapturedConnectionThroughAnUpstream(t *testing.T) {
	t.Parallel()
	upstream := newWorld(t, []string{"github.com"}, nil)
	w := newWorld(t, []string{"github.com"}, func(w *world, b *BuiltIn) {
		up, err := ParseUpstream("http://" + upstream.h.Addr())
		if err != nil {
			t.Fatal(err)
		}
		b.Upstream = up
	})
	s := w.capture(Listening{})
	s.lookUp("github.com.", dnsmessage.TypeA)
	c := s.connect("198.18.0.1:443")
	o := upstream.accept()
	io.WriteString(o, "hello")
	expect(t, c.r, "hello")
	if got := w.resolver.questions(); len(got) != 0 {
		t.Errorf("the resolver here was asked %q", got)
	}
	s.refused("198.18.0.1:22")
	if r := w.record(); r.Reason != PortNotAllowed || r.Upstream != "" {
		t.Errorf("record = %+v", r)
	}
	upstream.noRecord()
}

// elsewhere is a listener with an address that this host may not have.
type elsewhere struct{ ip net.IP }

func (e elsewhere) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (e elsewhere) Close() error              { return nil }
func (e elsewhere) Addr() net.Addr            { return &net.TCPAddr{IP: e.ip, Port: 443} }

// Only where no IPv6 connection can arrive a name has no IPv6 address.
func TestCaptureWithoutIPv6(t *testing.T) {
	t.Parallel()
	tcp4, tcp6 := listen(t), elsewhere{net.IPv6unspecified}
	original := func(net.Conn) (netip.AddrPort, error) { return netip.AddrPort{}, nil }
	for name, c := range map[string]struct {
		c    Capture
		want bool
	}{
		"only IPv4":      {Capture{Connections: []net.Listener{tcp4}}, true},
		"both":           {Capture{Connections: []net.Listener{tcp4, tcp6}}, false},
		"a redirect":     {Capture{Connections: []net.Listener{tcp4}, Original: original}, true},
		"redirects":      {Capture{Connections: []net.Listener{tcp4, elsewhere{net.IPv6loopback}}, Original: original}, false},
		"no connections": {Capture{QueryStreams: []net.Listener{tcp4}}, false},
		"other sockets":  {Capture{Connections: []net.Listener{newPipeListener()}}, false},
	} {
		if got := c.c.only4(); got != c.want {
			t.Errorf("%s: only IPv4 = %v, want %v", name, got, c.want)
		}
	}
}
