// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func addrs(ss ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range ss {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestResolvedAddressesAreJudged(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, target string
		allow        []string
		status       int
		reason       Reason
		dials        []string
	}{
		{"public", "github.com:443", []string{"*"}, 200, "", []string{"140.82.112.3:443"}},
		{"private", "private.com:443", []string{"*"}, 403, AddressNotAllowed, nil},
		{"private with a pattern", "private.com:443", []string{"*", "10.0.0.0/8"}, 200, "", []string{"10.0.0.1:443"}},
		{"private with a pattern for another port", "private.com:443", []string{"*", "10.0.0.0/8:5432"}, 403, AddressNotAllowed, nil},
		{"one of two is loopback", "mixed.com:443", []string{"*"}, 403, AddressNotAllowed, nil},
		{"no answer", "empty.com:443", []string{"*"}, 502, DNSError, nil},
		{"NXDOMAIN", "nowhere.com:443", []string{"*"}, 502, DNSError, nil},
		{"pinned", "pinned.com:443", []string{"*"}, 200, "", []string{"140.82.112.9:443"}},
		{"pinned to a private one", "pinned-private.com:443", []string{"*"}, 403, AddressNotAllowed, nil},
		{"mapped", "mapped.com:443", []string{"*"}, 403, AddressNotAllowed, nil},
		{"mapped public", "mapped-public.com:443", []string{"*"}, 200, "", []string{"140.82.112.3:443"}},
		{"invalid answer", "invalid.com:443", []string{"*"}, 502, DNSError, nil},
		{"localhost", "localhost:443", []string{"*"}, 403, AddressNotAllowed, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.allow, func(w *world, b *BuiltIn) {
				w.resolver.answers["mapped.com."] = addrs("::ffff:127.0.0.1")
				w.resolver.answers["mapped-public.com."] = addrs("::ffff:140.82.112.3")
				w.resolver.answers["invalid.com."] = []netip.Addr{public, {}}
				w.resolver.answers["localhost."] = []netip.Addr{public}
				b.Hosts = map[string][]netip.Addr{"pinned.com": addrs("140.82.112.9"), "pinned-private.com": addrs("10.1.1.1")}
			})
			res, _ := w.client().send(head(tt.target)).reply()
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if got := w.dials(); !slices.Equal(got, tt.dials) {
				t.Errorf("dialled %q, want %q", got, tt.dials)
			}
			name, _, _ := strings.Cut(tt.target, ":")
			asked := w.resolver.questions()
			if strings.HasPrefix(name, "pinned") || name == "localhost" {
				if len(asked) != 0 {
					t.Errorf("asked %q, want nothing", asked)
				}
			} else if !slices.Equal(asked, []string{name + "."}) {
				t.Errorf("asked %q, want %q once", asked, name+".")
			}
			w.h.Close()
			r := w.record()
			if r.Reason != tt.reason || (r.Decision == DecisionDeny) != (tt.status == 403) {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestLookupFailures(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"dns_error":   &net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true},
		"dns_timeout": &net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true},
	} {
		w := newWorld(t, []string{"*"}, func(_ *world, b *BuiltIn) { b.Resolver = failingResolver{err} })
		res, _ := w.client().send(head("github.com:443")).reply()
		if got := res.Header.Get("Proxy-Status"); res.StatusCode != 502 || !strings.Contains(got, "error="+want) || len(w.dials()) != 0 {
			t.Errorf("%v: status %d, Proxy-Status %q, dials %q", err, res.StatusCode, got, w.dials())
		}
		if r := w.record(); r.Reason != DNSError {
			t.Errorf("%v: record = %+v", err, r)
		}
	}
}

type failingResolver struct{ err error }

func (r failingResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, r.err
}

func TestPinnedNamesAreChecked(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string][]netip.Addr{
		"GitHub.com": addrs("140.82.112.3"), "a b.com": addrs("140.82.112.3"), "a.com.": addrs("140.82.112.3"),
		"empty.com": nil, "invalid.com": {{}}, "10.0.0.1": addrs("140.82.112.3"),
	} {
		_, err := NewServer(Config{Hosts: map[string][]netip.Addr{name: addr}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Hosts[%q] = %v: error %v, want one that names it", name, addr, err)
		}
	}
}

func TestPanickingResolverEndsOneConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"*"}, func(_ *world, b *BuiltIn) { b.Resolver = panickyResolver{b.Resolver} })
	expectEOF(t, w.client().send(head("panic.com:443")))
	if r := w.record(); r.Host != "panic.com" || r.Reason == "" {
		t.Errorf("record = %+v", r)
	}
	w.tunnel("github.com:443")
}

type panickyResolver struct{ Resolver }

func (r panickyResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if host == "panic.com." {
		panic(errors.New("bug"))
	}
	return r.Resolver.LookupNetIP(ctx, network, host)
}
