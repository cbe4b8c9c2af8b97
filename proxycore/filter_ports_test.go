// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFilterPorts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		allow []string
		want  []PortRange
	}{
		{nil, nil},
		{[]string{"github.com"}, []PortRange{{80, 80}, {443, 443}}},
		{[]string{"a.test:22", "b.test:22", "c.test:21"}, []PortRange{{21, 22}}},
		{[]string{"a.test:8000-8100", "b.test:8050-8200", "10.0.0.0/8:5432"}, []PortRange{{5432, 5432}, {8000, 8200}}},
		{[]string{"a.test:81-442", "b.test"}, []PortRange{{80, 443}}},
		{[]string{"a.test:65535", "b.test:1", "a.test"}, []PortRange{{1, 1}, {80, 80}, {443, 443}, {65535, 65535}}},
		{[]string{"a.test", "*:*"}, []PortRange{{1, 65535}}},
	} {
		if got := mustFilter(t, test.allow, []string{"denied.test"}).Ports(); !slices.Equal(got, test.want) {
			t.Errorf("Ports of %q = %v, want %v", test.allow, got, test.want)
		}
	}
	if got := (*Filter)(nil).Ports(); len(got) != 0 {
		t.Errorf("Ports of no filter = %v, want none", got)
	}
}

func TestDecideName(t *testing.T) {
	t.Parallel()
	f := mustFilter(t, []string{
		"web.test", "ssh.test:22", "*.one.test:8000-8100", "denied.test:22", "partly.test:20-30", "*.internal:*",
	}, []string{"denied.test", "partly.test:1-25", "x.one.test:8000-8099", "y.one.test:8000-8100", "web.test:80"})
	for host, want := range map[string]Decision{
		"web.test":                 {Allowed: true, Rule: "web.test"},
		"ssh.test":                 {Allowed: true, Rule: "ssh.test:22"},
		"partly.test":              {Allowed: true, Rule: "partly.test:20-30"},
		"x.one.test":               {Allowed: true, Rule: "*.one.test:8000-8100"},
		"y.one.test":               {Reason: DeniedByRule, Rule: "y.one.test:8000-8100"},
		"denied.test":              {Reason: DeniedByRule, Rule: "denied.test"},
		"one.test":                 {Reason: HostNotAllowed},
		"metadata.google.internal": {Reason: HostNotAllowed}, // two labels below
		"evil.test":                {Reason: HostNotAllowed},
		"SSH.test":                 {Reason: MalformedRequest},
		"":                         {Reason: MalformedRequest},
		"1.2.3.4":                  {Reason: MalformedRequest},
	} {
		if got := f.DecideName(host); got != want {
			t.Errorf("DecideName(%q) = %+v, want %+v", host, got, want)
		}
	}
	if got := (*Filter)(nil).DecideName("web.test"); got.Allowed {
		t.Error("no filter admits a name")
	}
}

// DecideName is Decide over all ports, for any policy.
func TestDecideNameOracle(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		checkDecideName(t, seed)
	}
}

func checkDecideName(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	names := []string{"a.test", "b.a.test", "test", "localhost", "x.localhost", "metadata.goog", "metadata.google.internal"}
	hosts := append([]string{"*", "*.a.test", "**.a.test", "*.google.internal", "**.localhost", "127.0.0.0/8", "[::1]", "10.0.0.0/8"}, names...)
	ports := []string{"", ":*", ":1", ":65535", ":443", ":20-30", ":25", ":26-443", ":1-65534"}
	var lists [2][]string
	for i := range lists {
		for range r.IntN(4) {
			lists[i] = append(lists[i], hosts[r.IntN(len(hosts))]+ports[r.IntN(len(ports))])
		}
	}
	f, err := NewFilter(Policy{Allow: lists[0], Deny: lists[1]})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		want := false
		for _, port := range []uint16{1, 2, 19, 20, 24, 25, 26, 30, 31, 79, 80, 81, 442, 443, 444, 65534, 65535} {
			want = want || f.Decide(Target{Host: name, Port: port}).Allowed
		}
		if got := f.DecideName(name); got.Allowed != want || !got.Allowed && got.Reason == "" {
			t.Errorf("allow %q, deny %q: DecideName(%q) = %+v, want allowed %v", lists[0], lists[1], name, got, want)
		}
	}
}
