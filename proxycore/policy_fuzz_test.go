// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// FuzzPattern: no input panics; what is refused comes with advice; what is
// accepted compiles to a key that a lookup can ask for, and keeps its text.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{
		"github.com", "*.github.com:22", "**.x.test:8000-8100", "*", "*:*", "10.0.0.0/8:5432", "[2001:db8::/32]:443",
		"::1", "https://u:p@x.test:1/y?z#a", ".x.test", "*x.test", "x.*", "10.*", "10/8", "x:0443", "a,b:1,2", "\ufeffx\r\n",
		"10.0.0.1/255.0.0.0", "2001:db8::1:443", "bücher.example", "[::1]/128", "git@x:y", "!x", "127.1",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, deny bool) {
		p, perr := parsePattern(text, deny)
		if perr != nil {
			if perr.Problem == "" || perr.Suggestion == "" || perr.Pattern != text {
				t.Fatalf("parsePattern(%q) error = %+v, want a problem and a suggestion", text, perr)
			}
			if strings.ContainsAny(perr.Error(), "\r\n\x00\x1b") {
				t.Fatalf("parsePattern(%q) error has control characters: %q", text, perr.Error())
			}
			return
		}
		if p.text != strings.Trim(text, " \t") || len(p.text) > maxPattern || len(p.key) > maxHost {
			t.Fatalf("parsePattern(%q) = %+v", text, p)
		}
		if p.kind != kindAddr && p.key != "" {
			checkCanonical(t, text, p.key)
		}
		if p.portHi < p.portLo {
			t.Fatalf("parsePattern(%q) ports = %d-%d", text, p.portLo, p.portHi)
		}
		var fl Filter
		if err := fl.allow.fill([]pattern{p}); err != nil {
			t.Fatal(err)
		}
		got := fl.allow.lookup(p.key)
		if got.len() != 1 {
			t.Fatalf("lookup(%q) = %d rules, want the one", p.key, got.len())
		}
		if r := got.rule(0); r.text != p.text || r.kind != p.kind || r.portLo != p.portLo || r.portHi != p.portHi {
			t.Fatalf("lookup(%q) = %+v, want %+v", p.key, r, p)
		}
	})
}

// FuzzTarget: what is accepted is canonical, so that it parses to itself again,
// and no filter calls it malformed.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		"github.com:443", "[::1]:1", "[::ffff:1.2.3.4]:80", "1.2.3.4:65535", "BÜCHER.example.:1", "xn--bcher-kva.example:1",
		"0x7f.1:80", "a..b:1", "[fe80::1%25x]:1", "github。com:443", "ｇ.x:1", "x:0443", "①②⑦.⓪.⓪.①:443",
	} {
		f.Add(s)
	}
	deny := mustFilter(f, nil, nil)
	f.Fuzz(func(t *testing.T, authority string) {
		target, err := ParseTarget(authority)
		if err != nil {
			var terr *TargetError
			if !errors.As(err, &terr) || terr.Problem == "" || terr.Reason != MalformedRequest && terr.Reason != AddressNotAllowed {
				t.Fatalf("ParseTarget(%q) error = %#v", authority, err)
			}
			return
		}
		if again, err := ParseTarget(target.String()); err != nil || again != target {
			t.Fatalf("ParseTarget(%q) = %v, which parses to %v, %v", authority, target, again, err)
		}
		if (target.Host == "") == !target.Addr.IsValid() || target.Port == 0 {
			t.Fatalf("ParseTarget(%q) = %+v, want either a name or an address, and a port", authority, target)
		}
		if target.Host != "" {
			checkCanonical(t, authority, target.Host)
		}
		if d := deny.Decide(target); d.Allowed || d.Reason == MalformedRequest {
			t.Fatalf("Decide(%v) = %+v, want a refusal that is about the policy", target, d)
		}
	})
}

// FuzzHostname: a canonical host is made of a few characters, is never a number
// to any resolver, and is its own canonical form.
func FuzzHostname(f *testing.F) {
	for _, s := range []string{"github.com", "GitHub.COM.", "bücher.example", "xn--bcher-kva", "xn--a", "straße", "127.1", "a_b", "r3---x", "𝟙.x", "a\u2024b", "⒈.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, terr := canonicalHost(s)
		if terr != nil {
			if host != "" {
				t.Fatalf("canonicalHost(%q) = %q beside an error", s, host)
			}
			return
		}
		checkCanonical(t, s, host)
	})
}

// checkCanonical fails unless host, made from s, is in canonical form.
func checkCanonical(t *testing.T, s, host string) {
	t.Helper()
	if host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || len(host) > maxHost {
		t.Fatalf("%q: canonical host %q has other characters or length", s, host)
	}
	last := host[strings.LastIndex(host, ".")+1:]
	if strings.Trim(last, "0123456789") == "" {
		t.Fatalf("%q: canonical host %q ends in a number", s, host)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		t.Fatalf("%q: canonical host %q is an address", s, host)
	}
	if _, ok := legacyIPv4(host); ok {
		t.Fatalf("%q: canonical host %q is an address to inet_aton", s, host)
	}
	if again, terr := canonicalHost(host); terr != nil || again != host {
		t.Fatalf("%q: canonical host %q becomes %q, %v", s, host, again, terr)
	}
}
