// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package presetrules

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

func rule(t *testing.T, text string, deny bool) Rule {
	t.Helper()
	r, err := proxycore.ParsePattern(text, deny)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMeet(t *testing.T) {
	t.Parallel()
	tests := []struct {
		allow, deny string
		want        bool
	}{
		{"a.test", "a.test", true},
		{"a.test", "a.test:22", false},
		{"a.test", "b.test", false},
		{"a.test", "*.a.test", false},
		{"b.a.test", "*.a.test", true},
		{"c.b.a.test", "*.a.test", false},
		{"c.b.a.test", "**.a.test", true},
		{"a.test", "**.a.test", false},
		{"*.a.test", "b.a.test", true},
		{"*.a.test", "*.b.a.test", false},
		{"*.b.a.test", "**.a.test", true},
		{"**.a.test", "*.b.a.test", true},
		{"**.a.test", "**.b.a.test", true},
		{"**.b.a.test", "**.a.test", true},
		{"**.b.a.test", "**.xa.test", false},
		{"*.a.test", "**.b.a.test", false},
		{"a.test", "*", true},
		{"10.0.0.1", "*:80", true},
		{"*", "a.test", true},
		{"a.test", "10.0.0.0/8", true},
		{"10.0.0.1", "a.test", false},
		{"10.0.0.1", "10.0.0.0/8", true},
		{"11.0.0.1", "10.0.0.0/8", false},
		{"[64:ff9b::a00:1]", "10.0.0.0/8", true},
		{"[2001::1]", "10.0.0.0/8", true},
		{"[2606:4700::1]", "10.0.0.0/8", false},
	}
	for _, tt := range tests {
		if got := Meet(rule(t, tt.allow, false), rule(t, tt.deny, true)); got != tt.want {
			t.Errorf("Meet(%s, %s) = %v", tt.allow, tt.deny, got)
		}
	}
}

func TestPortClasses(t *testing.T) {
	t.Parallel()
	list := []Rule{rule(t, "10.0.0.0/8:20-30", false), rule(t, "10.0.0.0/8:25-65535", false), rule(t, "10.0.0.1:1", false)}
	want := []proxycore.PortRange{{First: 1, Last: 1}, {First: 2, Last: 19}, {First: 20, Last: 24}, {First: 25, Last: 30}, {First: 31, Last: 65535}}
	if got := PortClasses(list); !reflect.DeepEqual(got, want) {
		t.Errorf("PortClasses = %v, want %v", got, want)
	}
	if got := PortClasses(nil); !reflect.DeepEqual(got, []proxycore.PortRange{{First: 1, Last: 65535}}) {
		t.Errorf("PortClasses(nil) = %v", got)
	}
}

func TestAddressRegexp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"10.0.0.0/8", "10.96.0.0/11", "1.2.3.4/32", "1.2.3.4/31", "0.0.0.0/0", "192.168.128.0/17", "8.8.8.0/21", "128.0.0.0/1"} {
		p := netip.MustParsePrefix(text)
		re := regexp.MustCompile("^" + AddressRegexp(p) + "$")
		for n := range 256 {
			for _, form := range []string{"%d.0.0.0", "10.%d.0.0", "192.168.%d.1", "1.2.3.%d", "8.8.%d.255"} {
				a := fmt.Sprintf(form, n)
				if got, want := re.MatchString(a), p.Contains(netip.MustParseAddr(a)); got != want {
					t.Errorf("%s matches %s: %v, want %v", text, a, got, want)
				}
			}
		}
		for _, a := range []string{"010.0.0.1", "10.0.0.256", "10.0.0", "10.0.0.1.", "10.0.00.1"} {
			if re.MatchString(a) {
				t.Errorf("%s matches %s", text, a)
			}
		}
	}
}

func TestAnyPort(t *testing.T) {
	t.Parallel()
	list, _ := PortRegexps([]proxycore.PortRange{{First: 1, Last: 65535}}, 1)
	re := regexp.MustCompile("^(" + list[0] + ")$")
	for n := range 70000 {
		if got := re.MatchString(fmt.Sprint(n)); got != (1 <= n && n <= 65535) {
			t.Fatalf("%d matches: %v", n, got)
		}
	}
	for _, text := range []string{"", "01", "0443", "+1"} {
		if re.MatchString(text) {
			t.Errorf("%q matches", text)
		}
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	span := func(a, b string) Span { return Span{netip.MustParseAddr(a), netip.MustParseAddr(b)} }
	all := []Span{span("0.0.0.0", "255.255.255.255"), span("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}
	if got := Subtract(all, all); len(got) != 0 {
		t.Errorf("all without all = %v", got)
	}
	got := Subtract(all, []Span{span("0.0.0.0", "9.255.255.255"), span("10.0.0.5", "10.0.0.5"), span("255.255.255.255", "255.255.255.255"), span("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")})
	want := []Span{span("10.0.0.0", "10.0.0.4"), span("10.0.0.6", "255.255.255.254"), span("::", "::")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Subtract = %v, want %v", got, want)
	}
	if got := Union([]Span{span("10.0.0.3", "10.0.0.4"), span("10.0.0.0", "10.0.0.2"), span("10.0.0.1", "10.0.0.1")}); !reflect.DeepEqual(got, []Span{span("10.0.0.0", "10.0.0.4")}) {
		t.Errorf("Union = %v", got)
	}
	if got := fmt.Sprint(span("10.0.0.1", "10.0.0.6").Prefixes()); got != "[10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32]" {
		t.Errorf("Prefixes = %s", got)
	}
	if got := fmt.Sprint(all[0].Prefixes(), all[1].Prefixes()); got != "[0.0.0.0/0] [::/0]" {
		t.Errorf("Prefixes = %s", got)
	}
}
