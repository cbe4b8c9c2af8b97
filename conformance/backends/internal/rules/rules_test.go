// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/netip"
	"reflect"
	"regexp"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

func TestParse(t *testing.T) {
	t.Parallel()
	prefix := netip.MustParsePrefix
	for line, want := range map[string]Rule{
		"Example.COM":              {Kind: Exact, Host: "example.com"},
		"example.com:8443":         {Kind: Exact, Host: "example.com", Ports: &Ports{8443, 8443}},
		"example.com:*":            {Kind: Exact, Host: "example.com", Ports: &Ports{1, 65535}},
		"*.example.com:8000-8100":  {Kind: One, Host: "example.com", Ports: &Ports{8000, 8100}},
		"**.example.com":           {Kind: Deep, Host: "example.com"},
		"*":                        {Kind: Any},
		"203.0.113.7":              {Kind: Address, Prefix: prefix("203.0.113.7/32")},
		"10.0.0.0/8:5432":          {Kind: Address, Prefix: prefix("10.0.0.0/8"), Ports: &Ports{5432, 5432}},
		"[2001:db8::1]:443":        {Kind: Address, Prefix: prefix("2001:db8::1/128"), Ports: &Ports{443, 443}},
		"2001:db8::/32":            {Kind: Address, Prefix: prefix("2001:db8::/32")},
		"[2001:db8::/32]:443-8443": {Kind: Address, Prefix: prefix("2001:db8::/32"), Ports: &Ports{443, 8443}},
	} {
		want.Line = line
		if got, err := Parse(line); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{"", ":443", "a.*.com", "a.com:0", "a.com:99999", "a.com:9-8", "a.com:http", "a b", "http://a.com", "a\nb", ".a.com", "a..com", "a.com.", "a/b", "*.", "**"} {
		if got, err := Parse(line); err == nil {
			t.Errorf("Parse(%q) = %+v; want an error", line, got)
		}
	}
}

// Every line of the suite's own policies is understood.
func TestParseThePolicies(t *testing.T) {
	t.Parallel()
	for name, p := range vectors.Policies() {
		for _, lines := range [][]string{p.Allow, p.Deny} {
			if _, err := ParseAll(lines); err != nil {
				t.Errorf("policy %s: %v", name, err)
			}
		}
	}
}

func TestRegexp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line, host string
		want       bool
	}{
		{"a.example.com", "a.example.com", true},
		{"a.example.com", "a.example.com.", true},
		{"a.example.com", "a.example.com..", false},
		{"a.example.com", "aXexample.com", false},
		{"a.example.com", "b.a.example.com", false},
		{"a.example.com", "a.example.com.evil.net", false},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", ".example.com", false},
		{"*.example.com", "b.a.example.com", false},
		{"*.example.com", "*.example.com", false},
		{"**.example.com", "b.a.example.com", true},
		{"**.example.com", "a..example.com", false},
		{"**.example.com", "example.com", false},
		{"*", "any.example.com", true},
		{"*", "localhost", true},
		{"*", "127.0.0.1", false},
		{"*", "127.1", false},
		{"*", "0x7f000001", false},
		{"*", "2130706433", false},
		{"*", "::1", false},
	} {
		r, err := Parse(tc.line)
		if err != nil {
			t.Fatal(err)
		}
		if got := regexp.MustCompilePOSIX(r.Regexp()).MatchString(tc.host); got != tc.want {
			t.Errorf("%s matches %s = %t; want %t", tc.line, tc.host, got, tc.want)
		}
	}
}
