// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestProxyAsItsOwnUpstream(t *testing.T) {
	t.Parallel()
	sock := listenUnix(t)
	var u *Upstream
	w, _ := chained(t, nil, []string{"*:*"}, func(_ *world, b *BuiltIn) {
		b.Route = func(Target) (*Upstream, error) { return u, nil }
	})
	port := w.h.Port()
	if _, err := w.h.Attach(sock, Listening{}); err != nil {
		t.Fatal(err)
	}
	for _, u = range []*Upstream{
		mustUpstream(t, fmt.Sprintf("http://127.0.0.1:%d", port)), mustUpstream(t, fmt.Sprintf("http://localhost:%d", port)),
		mustUpstream(t, fmt.Sprintf("socks5h://0.0.0.0:%d", port)), mustUpstream(t, "unix://"+sock.Addr().String()),
	} {
		res, _ := w.client().send(head("github.com:443")).reply()
		contains(t, u.String(), res.Header.Get("Proxy-Status"), "error=proxy_loop_detected", "dial_error")
		if r := w.record(); res.StatusCode != 502 || r.Reason != DialError || r.Upstream != u.String() {
			t.Errorf("%v: status %d, record %+v", u, res.StatusCode, r)
		}
		w.noRecord()
	}
	w.noDirect()
}

func TestRoute(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil, established200)
	u := mustUpstream(t, up.url("http"))
	var asked []Target
	w, _ := chained(t, mustUpstream(t, "http://192.0.2.1"), []string{"*:*", "localhost:*"}, func(_ *world, b *BuiltIn) {
		b.Hosts = map[string][]netip.Addr{"localhost": {netip.MustParseAddr("127.0.0.1"), public}}
		b.Route = func(t Target) (*Upstream, error) {
			asked = append(asked, t)
			switch t.Port {
			case 1:
				return nil, errors.New("sEcReT")
			case 2:
				return new(Upstream), nil
			case 3:
				panic("bug")
			case 4:
				return nil, nil
			}
			return u, nil
		}
	})
	for port, want := range map[int]int{1: 502, 2: 502, 443: 200} {
		res, body := w.client().send(head(fmt.Sprintf("github.com:%d", port))).reply()
		if res.StatusCode != want {
			t.Errorf("port %d: status %d, want %d", port, res.StatusCode, want)
		}
		if want == 502 {
			contains(t, "Proxy-Status", res.Header.Get("Proxy-Status"), "proxy_configuration_error", "dial_error")
			noSecrets(t, body, fmt.Sprintf("%+v", w.record()))
		}
	}
	w.client().send(head("github.com:3"))
	if r := w.record(); r.Reason != DialError {
		t.Errorf("record after a panic = %+v", r)
	}
	// A localhost that has been pinned elsewhere is not this machine (EX-27).
	if got := w.client().status(head("localhost:443")); got != 200 {
		t.Errorf("localhost: status %d, want 200 through the upstream", got)
	}
	if last := asked[len(asked)-1]; last != (Target{Addr: public, Port: 443}) {
		t.Errorf("asked for %v", last)
	}
	w.noDirect()
	if got := w.client().status(head("github.com:4")); got != 200 || len(w.dials()) != 1 {
		t.Errorf("direct: status %d, dialled %q", got, w.dials())
	}
	if n := len(asked); w.client().status("CONNECT 1.2.3.4:443 HTTP/1.0\r\n\r\n") != 403 || len(asked) != n {
		t.Error("asked about a target that the filter refuses")
	}
}

func TestLookupHereAsksForTheNextAddress(t *testing.T) {
	t.Parallel()
	good := "140.82.0.2:443"
	for status, want := range map[string]int{"503 x": 3, "403 x": 1, "407 x": 1} {
		up := newUpstream(t, nil, func(c net.Conn, head string) {
			if strings.HasPrefix(head, "CONNECT "+good) {
				established200(c, head)
				return
			}
			io.WriteString(c, "HTTP/1.1 "+status+"\r\n\r\n")
			c.Close()
		})
		w, _ := chained(t, mustUpstream(t, up.url("http")).WithLookup(LookupHere), []string{"*"}, func(w *world, _ *BuiltIn) {
			w.resolver.answers["many.com."] = many(4)
		})
		got := w.client().status(head("many.com:443"))
		if n := len(up.seen()); n != want || (got == 200) != (want == 3) {
			t.Errorf("%s: status %d after %d requests, want %d", status, got, n, want)
		}
		w.noDirect()
	}
}

func TestLookupHereSharesTheTime(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil, func(c net.Conn, head string) {
		if strings.HasPrefix(head, "CONNECT 140.82.0.1:") {
			established200(c, head)
		}
	})
	w, _ := chained(t, mustUpstream(t, up.url("http")).WithLookup(LookupHere), []string{"*"}, func(w *world, b *BuiltIn) {
		w.resolver.answers["many.com."] = many(2)
		b.DialTimeout = 2 * time.Second
	})
	if got := w.client().status(head("many.com:443")); got != 200 || len(up.seen()) != 2 {
		t.Errorf("status %d after %q", got, up.seen())
	}
}

// TestDirectToTheUpstream: what Route excepts is direct, unless it is the upstream by another name: to that the
// client could send requests of its own.
func TestDirectToTheUpstream(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil, established200)
	u := mustUpstream(t, up.url("http"))
	w, _ := chained(t, u, []string{"*:*", "127.0.0.1:*"}, func(w *world, b *BuiltIn) {
		b.Hosts = map[string][]netip.Addr{"alias.com": addrs("127.0.0.1")}
		b.Route = func(Target) (*Upstream, error) { return nil, nil }
	})
	for target, want := range map[string]int{
		fmt.Sprintf("alias.com:%d", u.port): 403, fmt.Sprintf("127.0.0.1:%d", u.port): 403,
		fmt.Sprintf("github.com:%d", u.port): 200, "github.com:443": 200,
	} {
		if got := w.client().status(head(target)); got != want {
			t.Errorf("%s: status %d, want %d", target, got, want)
		}
	}
	if seen := up.seen(); len(seen) > 0 {
		t.Errorf("the upstream was reached: %q", seen)
	}
}

func TestLeadsToTheUpstream(t *testing.T) {
	t.Parallel()
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	up := mustUpstream(t, "http://proxy.corp:3128")
	proxies := addrs("140.82.112.3", "2606:4700::1")
	for _, tt := range []struct {
		target string
		addrs  []netip.Addr
		want   bool
	}{
		{"proxy.corp:3128", nil, true},
		{"proxy.corp:3129", nil, false},
		{"alias.corp:3128", nil, false}, // known to the upstream only
		{"alias.corp:3128", addrs("1.1.1.1", "140.82.112.3"), true},
		{"alias.corp:443", addrs("140.82.112.3"), false},
		{"140.82.112.3:3128", addrs("140.82.112.3"), true},
		{"[2606:4700::1]:3128", addrs("2606:4700::1"), true},
		{"[64:ff9b::8c52:7003]:3128", addrs("64:ff9b::8c52:7003"), true},
		{"1.1.1.1:3128", addrs("1.1.1.1"), false},
		// The upstream connects to itself there, wherever it is.
		{"127.0.0.1:3128", addrs("127.0.0.1"), true},
		{"localhost:3128", addrs("127.0.0.1", "::1"), true},
		{"[::ffff:127.0.0.9]:3128", addrs("::ffff:127.0.0.9"), true},
		{"[64:ff9b::7f00:1]:3128", addrs("64:ff9b::7f00:1"), true},
		{"0.0.0.0:3128", addrs("0.0.0.0"), true},
		{"[::]:3128", addrs("::"), true},
		{"127.0.0.1:3129", addrs("127.0.0.1"), false},
	} {
		target, err := ParseTarget(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.leadsTo(up, proxies, target, tt.addrs) || up.toItself(target, tt.addrs); got != tt.want {
			t.Errorf("%s at %v: %v, want %v", tt.target, tt.addrs, got, tt.want)
		}
	}
	if s.leadsTo(mustUpstream(t, "unix:///s"), nil, Target{Addr: public}, []netip.Addr{public}) {
		t.Error("a socket has no address")
	}
}
