// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestChainCarriesBothWays(t *testing.T) {
	t.Parallel()
	cert, pool := authority(t, time.Now().Add(time.Hour))
	socks := func(c net.Conn, _ string) {}
	kinds := []struct {
		scheme string
		listen func(t testing.TB) net.Listener
		answer func(c net.Conn, head string)
		status int
	}{
		{"http", listen, established200, 200},
		{"https", func(t testing.TB) net.Listener { return listenTLS(t, cert) }, established200, 200},
		{"unix", listenUnix, established200, 200},
		{"socks5h", listen, socks, 0},
	}
	for _, tt := range kinds {
		t.Run(tt.scheme, func(t *testing.T) {
			t.Parallel()
			l := tt.listen(t)
			var up *fakeUpstream
			if tt.scheme == "socks5h" {
				up = newSocksUpstream(t, l, true, 0)
			} else {
				up = newUpstream(t, l, tt.answer)
			}
			u := mustUpstream(t, up.url(tt.scheme)).WithRoots(pool)
			w, logged := chained(t, u, []string{"github.com"}, nil)
			c := w.client()
			if got := c.status(head("github.com:443") + "with the head"); got != 200 {
				t.Fatalf("status %d, want 200", got)
			}
			o := up.next()
			expect(t, o, "with the head")
			io.WriteString(o, "down")
			expect(t, c.r, "down")
			// The client's end of stream is carried, and the other direction goes on.
			c.send("up").CloseWrite()
			expect(t, o, "up")
			expectEOF(t, o)
			io.WriteString(o, "still down")
			expect(t, c.r, "still down")
			o.Close()
			expectEOF(t, c.r)
			r := w.record()
			if r.Decision != DecisionAllow || r.Reason != "" || r.Upstream != u.String() || r.UpstreamStatus != tt.status || r.Address != "" ||
				r.BytesUp != 15 || r.BytesDown != 14 {
				t.Errorf("record = %+v", r)
			}
			if q := w.resolver.questions(); len(q) > 0 {
				t.Errorf("looked up %q", q)
			}
			w.noDirect()
			w.noRecord()
			noSecrets(t, logged.String(), fmt.Sprintf("%+v", r))
		})
	}
}

// newSocksUpstream is a fakeUpstream that speaks SOCKS: its heads are requests.
func newSocksUpstream(t testing.TB, l net.Listener, auth bool, rep byte) *fakeUpstream {
	t.Helper()
	f := &fakeUpstream{t: t, l: l, conns: make(chan net.Conn, 100)}
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			c.SetDeadline(time.Now().Add(20 * time.Second))
			request, _ := socksServe(c, auth, rep)
			f.mu.Lock()
			f.heads = append(f.heads, string(request))
			f.mu.Unlock()
			f.conns <- c
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.wg.Wait()
	})
	return f
}

func TestChainRequest(t *testing.T) {
	t.Parallel()
	v6 := netip.MustParseAddr("2606:4700::1")
	tests := []struct {
		name, target string
		lookup       Lookup
		asked        string // of the upstream
		address      string // in the record
		lookups      int
	}{
		{"the name", "GitHub.com.:443", LookupUpstream, "github.com:443", "", 0},
		{"looked up here", "github.com:443", LookupHere, "140.82.112.3:443", "140.82.112.3:443", 1},
		{"a literal", "140.82.112.3:443", LookupUpstream, "140.82.112.3:443", "140.82.112.3:443", 0},
		{"an IPv6 literal", "[2606:4700:0::1]:443", LookupUpstream, "[2606:4700::1]:443", "[2606:4700::1]:443", 0},
		{"a pinned name", "pinned.com:443", LookupUpstream, "[2606:4700::1]:443", "[2606:4700::1]:443", 0},
		{"localhost", "localhost:9", LookupUpstream, "127.0.0.1:9", "127.0.0.1:9", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, nil, established200)
			w, _ := chained(t, mustUpstream(t, up.url("http")).WithLookup(tt.lookup), []string{"*:*", "140.82.112.3", "[2606:4700::1]", "localhost:9"},
				func(_ *world, b *BuiltIn) { b.Hosts = map[string][]netip.Addr{"pinned.com": {v6}} })
			c := w.client()
			if got := c.status("CONNECT " + tt.target + " HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic eDp5\r\nUser-Agent: z\r\n\r\n"); got != 200 {
				t.Fatalf("status %d, want 200", got)
			}
			up.next().Close()
			c.Close()
			want := "CONNECT " + tt.asked + " HTTP/1.1\r\nHost: " + tt.asked + "\r\nProxy-Authorization: Basic " + secretBasic + "\r\n\r\n"
			if got := up.seen(); len(got) != 1 || got[0] != want {
				t.Errorf("the upstream saw %q, want %q", got, want)
			}
			if r := w.record(); r.Address != tt.address || r.UpstreamStatus != 200 {
				t.Errorf("record = %+v", r)
			}
			if q := w.resolver.questions(); len(q) != tt.lookups {
				t.Errorf("looked up %q", q)
			}
			w.noDirect()
		})
	}
}

// RB-23: what the policy refuses never gets as far as the upstream.
func TestChainFiltersFirst(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil, established200)
	upPort := up.l.Addr().(*net.TCPAddr).Port
	self := fmt.Sprintf("127.0.0.1:%d", upPort)
	targets := map[string]struct {
		status int
		reason Reason
	}{
		"evil.com:443":                {403, HostNotAllowed},
		"github.com:22":               {403, PortNotAllowed},
		"denied.com:443":              {403, DeniedByRule},
		"1.2.3.4:443":                 {403, AddressNotAllowed},
		"10.0.0.1:443":                {403, AddressNotAllowed},
		"169.254.169.254:80":          {403, AddressNotAllowed},
		"[::ffff:169.254.169.254]:80": {403, AddressNotAllowed},
		"metadata.google.internal:80": {403, HostNotAllowed},
		"localhost:1":                 {403, HostNotAllowed},
		"127.1:443":                   {403, AddressNotAllowed},
		"github.com":                  {400, MalformedRequest},
		self:                          {403, AddressNotAllowed},
		fmt.Sprintf("[::ffff:127.0.0.1]:%d", upPort): {403, AddressNotAllowed},
		fmt.Sprintf("127.9.9.9:%d", upPort):          {403, AddressNotAllowed},
		fmt.Sprintf("pinned.com:%d", upPort):         {403, AddressNotAllowed},
		"private.com:443":                            {403, AddressNotAllowed},
		"mixed.com:443":                              {403, AddressNotAllowed},
		"nowhere.com:443":                            {502, DNSError},
	}
	w, _ := chained(t, mustUpstream(t, up.url("http")).WithLookup(LookupHere), nil, func(w *world, b *BuiltIn) {
		w.resolver.answers["mixed.com."] = addrs("140.82.112.3", "10.0.0.1")
		f, err := NewFilter(Policy{Allow: []string{"github.com", "private.com", "mixed.com", "nowhere.com", "127.0.0.0/8:*", "pinned.com:*"}, Deny: []string{"denied.com"}})
		if err != nil {
			t.Fatal(err)
		}
		b.Filter = f
		b.Hosts = map[string][]netip.Addr{"pinned.com": {netip.MustParseAddr("127.0.0.1")}}
	})
	own := fmt.Sprintf("127.0.0.1:%d", w.h.Port())
	targets[own] = targets[self]
	for target, want := range targets {
		res, _ := w.client().send(head(target)).reply()
		if res.StatusCode != want.status {
			t.Errorf("%s: status %d, want %d", target, res.StatusCode, want.status)
		}
		if r := w.record(); r.Reason != want.reason || r.Upstream != "" || r.UpstreamStatus != 0 {
			t.Errorf("%s: record = %+v, want %s", target, r, want.reason)
		}
	}
	if got := up.seen(); len(got) > 0 {
		t.Errorf("the upstream saw %q", got)
	}
	w.noDirect()
}

func TestUpstreamIsNoTargetByItsName(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil, established200)
	port := up.l.Addr().(*net.TCPAddr).Port
	w, _ := chained(t, mustUpstream(t, fmt.Sprintf("http://localhost:%d", port)), []string{"*:*", "localhost:*", "127.0.0.0/8:*", "[::1]:*"}, nil)
	for _, target := range []string{"localhost", "a.localhost", "127.0.0.1", "[::1]", "0.0.0.0"} {
		if got := w.client().status(head(fmt.Sprintf("%s:%d", target, port))); got != 403 {
			t.Errorf("%s: status %d, want 403", target, got)
		}
	}
	if got := w.client().status(head("github.com:443")); got != 200 || len(up.seen()) != 1 {
		t.Errorf("github.com: status %d, the upstream saw %q", got, up.seen())
	}
	w.noDirect()
}

// A new policy judges chained tunnels by their name when nothing else is known.
func TestChainedTunnelsFollowThePolicy(t *testing.T) {
	t.Parallel()
	for _, lookup := range []Lookup{LookupUpstream, LookupHere} {
		up := newUpstream(t, nil, established200)
		w, _ := chained(t, mustUpstream(t, up.url("http")).WithLookup(lookup), []string{"github.com"}, nil)
		c := w.client()
		if got := c.status(head("github.com:443")); got != 200 {
			t.Fatalf("status %d, want 200", got)
		}
		o := up.next()
		w.h.SetFilter(allowing(t, "*", "github.com"))
		io.WriteString(o, "alive")
		expect(t, c.r, "alive")
		w.h.SetFilter(allowing(t, "other.com"))
		expectEOF(t, c.r)
		expectEOF(t, o)
		if r := w.record(); r.Reason != PolicyClosed {
			t.Errorf("record = %+v", r)
		}
	}
}

func TestBuiltInHandsOnTheCABundle(t *testing.T) {
	t.Parallel()
	h, err := BuiltIn{CABundle: "/x/ca.pem"}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.CABundle() != "/x/ca.pem" {
		t.Errorf("CABundle = %q", h.CABundle())
	}
	contains(t, "environment", strings.Join(h.Environ(nil), "\n"), "SSL_CERT_FILE=/x/ca.pem")
}

func TestUpstreamInTheRecordsJSON(t *testing.T) {
	t.Parallel()
	j, err := json.Marshal(Record{Upstream: mustUpstream(t, "http://u:sEcReT@proxy").String(), UpstreamStatus: 407})
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "JSON", string(j), `"upstream":"http://proxy:80"`, `"upstream_status":407`)
	noSecrets(t, string(j))
}
