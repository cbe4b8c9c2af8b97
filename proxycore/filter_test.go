// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"strings"
	"testing"
)

// mustFilter compiles a policy that the test knows to be good.
func mustFilter(t testing.TB, allow, deny []string) *Filter {
	t.Helper()
	f, err := NewFilter(Policy{Allow: allow, Deny: deny})
	if err != nil {
		t.Fatalf("NewFilter: %v", err)
	}
	return f
}

// mustTarget parses a target that the test knows to be good.
func mustTarget(t testing.TB, authority string) Target {
	t.Helper()
	target, err := ParseTarget(authority)
	if err != nil {
		t.Fatalf("ParseTarget(%q): %v", authority, err)
	}
	return target
}

// TestDecide has the HM, IP and PT cases that are about the verdict.
// Rules and lists are separated by blanks; verdict is "allow" or a reason.
func TestDecide(t *testing.T) {
	t.Parallel()
	const allow = "allow"
	tests := []struct{ id, allow, deny, target, verdict, rule string }{
		{"HM-02", "GitHub.com", "", "github.com:443", allow, "GitHub.com"},
		{"HM-03", "github.com", "", "github.com.:443", allow, "github.com"},
		{"HM-03", "github.com.", "", "github.com:443", allow, "github.com."},
		{"HM-04", "*", "evil.com", "evil.com.:443", "denied_by_rule", "evil.com"},
		{"HM-06", "*", "", "localhost.:443", "address_not_allowed", ""},
		{"HM-06", "*", "", "foo.LOCALHOST:443", "address_not_allowed", ""},
		{"HM-06", "github.com", "", "localhost:443", "host_not_allowed", ""},
		{"HM-06", "* **.google.internal", "", "metadata.google.internal.:80", "address_not_allowed", ""},
		{"HM-06", "metadata.google.internal", "", "metadata.google.internal:80", allow, "metadata.google.internal"},
		{"HM-07", "github.com *.github.com **.github.com", "", "evilgithub.com:443", "host_not_allowed", ""},
		{"HM-08", "github.com *.github.com **.github.com", "", "github.com.evil.com:443", "host_not_allowed", ""},
		{"HM-09", "*.github.com **.github.com", "", "github.com:443", "host_not_allowed", ""},
		{"HM-10", "*.github.com", "", "a.b.github.com:443", "host_not_allowed", ""},
		{"HM-10", "*.github.com", "", "b.github.com:443", allow, "*.github.com"},
		{"HM-10", "**.github.com", "", "a.b.github.com:443", allow, "**.github.com"},
		{"HM-10", "**.github.com", "", "b.github.com:443", allow, "**.github.com"},
		{"HM-23", "bücher.example", "", "xn--bcher-kva.example:443", allow, "bücher.example"},
		{"HM-23", "*", "xn--bcher-kva.example", "BÜCHER.example:443", "denied_by_rule", "xn--bcher-kva.example"},
		{"HM-23", "*.bücher.example", "", "a.xn--bcher-kva.example:443", allow, "*.bücher.example"},
		{"HM-24", "github.com", "", "gіthub.com:443", "host_not_allowed", ""},
		{"HM-25", "github.com", "", "github。com:443", allow, "github.com"},
		{"HM-33", "*.example.com **.example.com", "", "intranet:443", "host_not_allowed", ""},
		{"HM-34", "github.com", "**.com", "github.com:443", "denied_by_rule", "**.com"},
		{"HM-34", "*", "**.github.com", "github.com:443", allow, "*"},
		{"HM-34", "a.github.com", "*", "a.github.com:443", "denied_by_rule", "*"},
		{"HM-35", "*", "evil.com:8443", "evil.com:443", allow, "*"},
		{"HM-35", "*:*", "evil.com:8443", "evil.com.:8443", "denied_by_rule", "evil.com:8443"},
		{"HM-35", "[2001:db8::1]:*", "[2001:db8::1]:8443", "[2001:0db8::0:1]:8443", "denied_by_rule", "[2001:db8::1]:8443"},

		{"IP-01", "github.com * **.example.com", "", "140.82.112.3:443", "address_not_allowed", ""},
		{"IP-02", "*", "", "127.0.0.2:443", "address_not_allowed", ""},
		{"IP-02", "0.0.0.0/0:* [::/0]:*", "", "127.0.0.1:443", "address_not_allowed", ""},
		{"IP-07", "0.0.0.0/0:* 127.0.0.1", "", "0.0.0.0:443", "address_not_allowed", ""},
		{"IP-07", "0.0.0.0/8", "", "0.0.0.0:443", "address_not_allowed", ""},
		{"IP-10", "[::/0]:*", "", "[::1]:443", "address_not_allowed", ""},
		{"IP-11", "[::/0]:*", "", "[::]:443", "address_not_allowed", ""},
		{"IP-12", "[::/0]:* 0.0.0.0/0:*", "", "[::ffff:169.254.169.254]:80", "address_not_allowed", ""},
		{"IP-12", "127.0.0.1", "", "[::ffff:127.0.0.1]:80", allow, "127.0.0.1"},
		{"IP-12", "[::ffff:127.0.0.1]", "", "127.0.0.1:80", allow, "[::ffff:127.0.0.1]"},
		{"IP-13", "[::/0]:*", "", "[::127.0.0.1]:443", "address_not_allowed", ""},
		{"IP-14", "[::/0]:*", "", "[64:ff9b::7f00:1]:443", "address_not_allowed", ""},
		{"IP-14", "[64:ff9b::/96]", "", "[64:ff9b::a9fe:a9fe]:443", "address_not_allowed", ""},
		{"IP-14", "[64:ff9b::/96]", "", "[64:ff9b::8c52:7003]:443", allow, "[64:ff9b::/96]"},
		{"IP-14", "[64:ff9b::a00:0/104]", "", "[64:ff9b::a01:203]:443", allow, "[64:ff9b::a00:0/104]"},
		{"IP-14", "[::/0]:*", "", "[64:ff9b:1::808:808]:443", "address_not_allowed", ""},
		{"IP-15", "[::/0]:*", "", "[2002:7f00:1::]:443", "address_not_allowed", ""},
		{"IP-15", "[::/0]:*", "", "[2002:808:808::]:443", "address_not_allowed", ""},
		{"IP-16", "[::/0]:*", "", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]:443", "address_not_allowed", ""},
		{"IP-18", "[::/0]:* 0.0.0.0/0:*", "", "[fe80::1]:443", "address_not_allowed", ""},
		{"IP-19", "169.254.0.0/16", "", "169.254.169.254:80", "address_not_allowed", ""},
		{"IP-19", "169.254.0.0/16", "", "169.254.0.1:80", allow, "169.254.0.0/16"},
		{"IP-19", "169.254.169.254", "", "169.254.169.254:80", allow, "169.254.169.254"},
		{"IP-19", "100.64.0.0/10", "", "100.100.100.200:80", "address_not_allowed", ""},
		{"IP-19", "[fd00::/8]", "", "[fd00:ec2::254]:80", "address_not_allowed", ""},
		{"IP-21", "10.0.0.0/8:5432", "", "10.1.2.3:5432", allow, "10.0.0.0/8:5432"},
		{"IP-21", "172.0.0.0/8", "", "172.15.255.255:443", allow, "172.0.0.0/8"},
		{"IP-21", "172.0.0.0/8", "", "172.16.0.0:443", "address_not_allowed", ""},
		{"IP-21", "172.0.0.0/8", "", "172.32.0.0:443", allow, "172.0.0.0/8"},
		{"IP-22", "[fec0::/10]", "", "[fec0::1]:443", allow, "[fec0::/10]"},
		{"IP-26", "127.0.0.1:5432", "", "127.0.0.1:5432", allow, "127.0.0.1:5432"},
		{"IP-26", "127.0.0.1:5432", "", "127.0.0.1:22", "port_not_allowed", "127.0.0.1:5432"},
		{"IP-26", "127.0.0.1:5432", "", "127.0.0.2:5432", "address_not_allowed", ""},
		{"IP-27", "[2001:0DB8:0:0::1]", "", "[2001:db8::1]:443", allow, "[2001:0DB8:0:0::1]"},
		{"IP", "2001:db8::/32", "", "[2001:db8::1]:443", allow, "2001:db8::/32"},
		{"RB-16", "10.0.0.0/8", "10.0.0.1", "10.0.0.1:443", "denied_by_rule", "10.0.0.1"},
		{"RB-16", "[2002:a00:1::/48]", "10.0.0.1", "[2002:a00:1::5]:443", "denied_by_rule", "10.0.0.1"},
		{"RB-16", "[64:ff9b::/96]", "8.8.8.0/24", "[64:ff9b::808:808]:443", "denied_by_rule", "8.8.8.0/24"},
		{"RB-16", "8.8.8.8", "*:443", "8.8.8.8:443", "denied_by_rule", "*:443"},
		{"RB-16", "8.8.8.8", "*:443", "8.8.8.8:80", allow, "8.8.8.8"},

		{"PT-01", "github.com", "", "github.com:22", "port_not_allowed", "github.com"},
		{"PT-02", "github.com", "", "github.com:80", allow, "github.com"},
		{"PT-02", "*.x.com:8000-8100", "", "a.x.com:8000", allow, "*.x.com:8000-8100"},
		{"PT-02", "*.x.com:8000-8100", "", "a.x.com:8100", allow, "*.x.com:8000-8100"},
		{"PT-02", "*.x.com:8000-8100", "", "a.x.com:8101", "port_not_allowed", "*.x.com:8000-8100"},
		{"PT-02", "x.com:*", "", "x.com:65535", allow, "x.com:*"},
		{"PT-14", "example.com:8443", "", "example.com:443", "port_not_allowed", "example.com:8443"},
		{"PT-14", "*.example.com:443", "", "a.example.com:22", "port_not_allowed", "*.example.com:443"},
		{"PT", "*:22 github.com", "", "github.com:22", allow, "*:22"},
		{"PT", "github.com:22 github.com", "", "github.com:443", allow, "github.com"},
		{"PT", "github.com github.com:443", "", "github.com:443", allow, "github.com"},
		{"CF-08", "x.com:10-20 x.com:1-100 x.com:50-200", "", "x.com:150", allow, "x.com:50-200"},
		{"CF-08", "x.com:10-20 x.com:1-100 x.com:50-200", "", "x.com:15", allow, "x.com:1-100"},
		{"CF-08", "GitHub.com github.com", "", "github.com:443", allow, "GitHub.com"},
		{"CF-15", "github.com 10.0.0.1", "*", "10.0.0.1:443", "denied_by_rule", "*"},
		{"CF-01", "", "", "github.com:443", "host_not_allowed", ""},
		{"CF-01", "", "", "8.8.8.8:443", "address_not_allowed", ""},
		{"RFC 6761", "localhost:8080", "", "localhost:8080", allow, "localhost:8080"},
		{"RFC 6761", "* 127.0.0.1:8080 *:8080", "", "localhost:8080", allow, "*:8080"},
		{"RFC 6761", "**.localhost", "", "a.localhost:80", allow, "**.localhost"},
		{"RFC 6761", "*.localhost", "", "localhost:80", "host_not_allowed", ""},
	}
	for _, test := range tests {
		f := mustFilter(t, strings.Fields(test.allow), strings.Fields(test.deny))
		d := f.Decide(mustTarget(t, test.target))
		got := string(d.Reason)
		if d.Allowed {
			got = allow + got
		}
		if got != test.verdict || d.Rule != test.rule {
			t.Errorf("%s: allow %q deny %q: Decide(%s) = %s by %q, want %s by %q",
				test.id, test.allow, test.deny, test.target, got, d.Rule, test.verdict, test.rule)
		}
	}
}

// TestDecideAddrs: the addresses that a name resolved to (group RB).
func TestDecideAddrs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id, allow, deny, target, addrs string
		want                           Decision
	}{
		{"RB", "a.com", "", "a.com:443", "8.8.8.8 2620:fe::fe", Decision{true, "", "a.com"}},
		{"RB-01", "a.com", "", "a.com:443", "127.0.0.1", Decision{false, AddressNotAllowed, ""}},
		{"RB-03", "a.com 169.254.0.0/16", "", "a.com:443", "169.254.169.254", Decision{false, AddressNotAllowed, ""}},
		{"RB-04", "a.com 0.0.0.0/0", "", "a.com:443", "::ffff:10.0.0.1", Decision{false, AddressNotAllowed, ""}},
		{"RB-04", "a.com", "", "a.com:443", "::ffff:8.8.8.8", Decision{true, "", "a.com"}},
		{"RB-04", "a.com", "8.8.8.0/24", "a.com:443", "::ffff:8.8.8.8", Decision{false, DeniedByRule, "8.8.8.0/24"}},
		{"RB-04", "a.com", "", "a.com:443", "64:ff9b::a00:1", Decision{false, AddressNotAllowed, ""}},
		{"RB-04", "a.com", "", "a.com:443", "64:ff9b::808:808", Decision{true, "", "a.com"}},
		{"RB-05", "a.com", "", "a.com:443", "8.8.8.8 10.0.0.1", Decision{false, AddressNotAllowed, ""}},
		{"RB-05", "a.com", "", "a.com:443", "10.0.0.1 8.8.8.8", Decision{false, AddressNotAllowed, ""}},
		{"RB-07", "a.com", "", "a.com:443", "", Decision{false, DNSError, ""}},
		{"RB-09", "a.com", "", "b.com:443", "8.8.8.8", Decision{false, HostNotAllowed, ""}},
		{"RB-15", "a.com:* 10.0.0.0/8:5432", "", "a.com:5432", "10.0.0.1", Decision{true, "", "a.com:*"}},
		{"RB-15", "a.com:* 10.0.0.0/8:5432", "", "a.com:22", "10.0.0.1", Decision{false, AddressNotAllowed, ""}},
		{"RB-16", "a.com 10.0.0.0/8", "10.0.0.1", "a.com:443", "10.0.0.2 10.0.0.1", Decision{false, DeniedByRule, "10.0.0.1"}},
		{"RB-16", "a.com", "8.8.8.0/24", "a.com:443", "8.8.8.8", Decision{false, DeniedByRule, "8.8.8.0/24"}},
		{"zone", "a.com", "", "a.com:443", "fe80::1%eth0", Decision{false, AddressNotAllowed, ""}},
		{"literal", "8.8.8.8", "", "8.8.8.8:443", "8.8.8.8", Decision{true, "", "8.8.8.8"}},
		{"literal", "8.8.8.8", "", "8.8.8.8:443", "10.0.0.1", Decision{false, AddressNotAllowed, ""}},
		{"localhost", "localhost:80", "", "localhost:80", "127.0.0.1 ::1", Decision{true, "", "localhost:80"}},
		{"localhost", "localhost:80", "", "localhost:80", "10.0.0.1", Decision{false, AddressNotAllowed, ""}},
		{"localhost", "localhost:80", "127.0.0.0/8", "localhost:80", "127.0.0.1 ::1", Decision{false, DeniedByRule, "127.0.0.0/8"}},
		{"localhost", "* 127.0.0.1", "", "localhost:80", "127.0.0.1 ::1", Decision{false, AddressNotAllowed, ""}},
		{"localhost", "* 127.0.0.1 ::1", "", "localhost:80", "127.0.0.1 ::1", Decision{true, "", "*"}},
		{"localhost", "localhost a.com", "", "a.com:80", "127.0.0.1", Decision{false, AddressNotAllowed, ""}},
	}
	for _, test := range tests {
		f := mustFilter(t, strings.Fields(test.allow), strings.Fields(test.deny))
		var addrs []netip.Addr
		for _, a := range strings.Fields(test.addrs) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if got := f.DecideAddrs(mustTarget(t, test.target), addrs); got != test.want {
			t.Errorf("%s: allow %q deny %q: DecideAddrs(%s, %s) = %+v, want %+v",
				test.id, test.allow, test.deny, test.target, test.addrs, got, test.want)
		}
	}
	f := mustFilter(t, []string{"a.com"}, nil)
	want := Decision{false, AddressNotAllowed, ""}
	if got := f.DecideAddrs(mustTarget(t, "a.com:443"), make([]netip.Addr, 1)); got != want {
		t.Errorf("DecideAddrs of an invalid address = %+v, want %+v", got, want)
	}
}

// TestDecideMalformed: a target built by hand cannot slip past a deny pattern
// by a spelling that ParseTarget would have normalised.
func TestDecideMalformed(t *testing.T) {
	t.Parallel()
	f := mustFilter(t, []string{"*:*", "0.0.0.0/0:*", "[fe80::/10]:*"}, []string{"evil.com"})
	for _, target := range []Target{
		{},
		{Host: "github.com"},
		{Host: "Evil.com", Port: 443},
		{Host: "evil.com.", Port: 443},
		{Host: "127.1", Port: 443},
		{Host: "8.8.8.8", Port: 443},
		{Host: "evil.com\x00", Port: 443},
		{Host: "x.com", Addr: netip.MustParseAddr("8.8.8.8"), Port: 443},
		{Addr: netip.MustParseAddr("::ffff:8.8.8.8"), Port: 443},
		{Addr: netip.MustParseAddr("fe80::1%eth0"), Port: 443},
	} {
		if got, want := f.Decide(target), (Decision{Reason: MalformedRequest}); got != want {
			t.Errorf("Decide(%+v) = %+v, want %+v", target, got, want)
		}
	}
}

// TestFilterZero: nothing configured is nothing allowed (CF-01, CF-02).
func TestFilterZero(t *testing.T) {
	t.Parallel()
	name, addr := mustTarget(t, "github.com:443"), mustTarget(t, "8.8.8.8:443")
	for _, f := range []*Filter{nil, {}, mustFilter(t, nil, nil)} {
		if got, want := f.Decide(name), (Decision{Reason: HostNotAllowed}); got != want {
			t.Errorf("Decide(%v) = %+v, want %+v", name, got, want)
		}
		if got, want := f.Decide(addr), (Decision{Reason: AddressNotAllowed}); got != want {
			t.Errorf("Decide(%v) = %+v, want %+v", addr, got, want)
		}
		if got, want := f.DecideAddrs(name, []netip.Addr{addr.Addr}), (Decision{Reason: HostNotAllowed}); got != want {
			t.Errorf("DecideAddrs(%v) = %+v, want %+v", name, got, want)
		}
		if f.Len() != 0 || f.AdmitsLoopback() || f.Warnings() != nil {
			t.Errorf("Len %d, AdmitsLoopback %v, Warnings %q; want nothing", f.Len(), f.AdmitsLoopback(), f.Warnings())
		}
	}
}

// TestFilterCopies: what the caller does with its slices later has no effect (CF-14).
func TestFilterCopies(t *testing.T) {
	t.Parallel()
	list := []string{" github.com\t"}
	f := mustFilter(t, list, nil)
	list[0] = "evil.com"
	if got, want := f.Decide(mustTarget(t, "github.com:443")), (Decision{true, "", "github.com"}); got != want {
		t.Errorf("Decide = %+v, want %+v", got, want)
	}
	if f.Decide(mustTarget(t, "evil.com:443")).Allowed {
		t.Error("the filter sees changes of the caller's slice")
	}
}

// TestAdmitsLoopback tells when clients must send requests for localhost here.
func TestAdmitsLoopback(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		want    bool
	}{
		{"localhost", true}, {"LOCALHOST.:80", true}, {"a.localhost", true}, {"**.localhost", true},
		{"127.0.0.1:5432", true}, {"127.0.0.0/8", true}, {"[::1]:80", true}, {"[::ffff:127.0.0.1]", true}, {"0.0.0.0", true},
		{"*", false}, {"0.0.0.0/0", false}, {"10.0.0.0/8", false}, {"[::/0]", false}, {"notlocalhost", false},
	}
	for _, test := range tests {
		if got := mustFilter(t, []string{test.pattern}, nil).AdmitsLoopback(); got != test.want {
			t.Errorf("AdmitsLoopback of %q = %v, want %v", test.pattern, got, test.want)
		}
	}
	if mustFilter(t, nil, []string{"localhost"}).AdmitsLoopback() {
		t.Error("a deny pattern admits loopback")
	}
}

// TestDefaultDevAllowlist: every entry is valid, goes at most one label deep, is
// not written twice, and gives no warning.
func TestDefaultDevAllowlist(t *testing.T) {
	t.Parallel()
	list := DefaultDevAllowlist()
	f := mustFilter(t, list, nil)
	if got := f.Warnings(); len(got) != 0 {
		t.Errorf("warnings: %q", got)
	}
	seen := map[string]bool{}
	for _, p := range list {
		if strings.Contains(p, "**") || p == "*" || seen[p] {
			t.Errorf("%q is a deep wildcard or stands twice", p)
		}
		seen[p] = true
	}
	list[0] = "changed"
	if DefaultDevAllowlist()[0] == "changed" {
		t.Error("callers share one slice")
	}
}
