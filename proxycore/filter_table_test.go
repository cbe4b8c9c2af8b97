// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"testing"
)

// TestSharedWord: two patterns share the one word of the index, so that one name
// in sixteen that is not there finds a bit set, and the keys must tell.
func TestSharedWord(t *testing.T) {
	t.Parallel()
	f := mustFilter(t, []string{"host.example.net", "**.deep.example.org"}, nil)
	if got := len(f.allow.index); got != 2 {
		t.Fatalf("the index has %d words, want one and the end", got)
	}
	for i := range 4000 {
		for _, format := range []string{"host%d.example.net", "%d.host.example.net", "a.deep%d.example.org", "deep.example.org%dx"} {
			host := fmt.Sprintf(format, i)
			if d := f.Decide(Target{Host: host, Port: 443}); d.Allowed {
				t.Fatalf("Decide(%s) = %+v, want a refusal", host, d)
			}
			if f.allow.lookup(host) != "" {
				t.Fatalf("lookup(%s) finds something", host)
			}
		}
	}
	for _, host := range []string{"host.example.net", "a.deep.example.org", "a.b.deep.example.org"} {
		if d := f.Decide(Target{Host: host, Port: 443}); !d.Allowed {
			t.Errorf("Decide(%s) = %+v, want it allowed", host, d)
		}
	}
}

// TestManyRulesOfOneKey: the rules of one key are searched by halves, however many
// they are, and keep their texts.
func TestManyRulesOfOneKey(t *testing.T) {
	t.Parallel()
	var allow []string
	for port := 1; port < 65536; port += 2 {
		allow = append(allow, fmt.Sprintf("*.Host.example.net:%d", port), fmt.Sprintf("10.0.0.0/8:%d", port))
	}
	f := mustFilter(t, append(allow, "host.example.net"), nil)
	if got, want := f.allow.count, len(allow)+1; got != want {
		t.Errorf("the table has %d rules, want %d", got, want)
	}
	for port := 1; port < 65536; port += 97 {
		for _, target := range []string{fmt.Sprintf("a.host.example.net:%d", port), fmt.Sprintf("10.1.2.3:%d", port)} {
			d := f.Decide(mustTarget(t, target))
			if want := port%2 == 1; d.Allowed != want || d.Rule == "" {
				t.Errorf("Decide(%s) = %+v, want allowed: %v", target, d, want)
			}
			if d.Allowed && !(d.Rule == fmt.Sprintf("*.Host.example.net:%d", port) || d.Rule == fmt.Sprintf("10.0.0.0/8:%d", port)) {
				t.Errorf("Decide(%s) names %s", target, d.Rule)
			}
		}
	}
	// Each odd port is a range, and 80 joins two.
	if got, want := len(f.Ports()), 65536/2-1; got != want {
		t.Errorf("Ports has %d ranges, want %d", got, want)
	}
}

// TestEveryPatternIsFound: at a size at which words have none, one and several keys.
func TestEveryPatternIsFound(t *testing.T) {
	t.Parallel()
	list := manyPatterns(5000)
	f := mustFilter(t, list, nil)
	seen := map[string]bool{}
	for r := range f.allow.all() {
		seen[r.text] = true
	}
	for _, pattern := range list {
		parts, err := ParsePattern(pattern, false)
		if err != nil {
			t.Fatal(err)
		}
		target := Target{Host: parts.Host, Addr: parts.Prefix.Addr(), Port: parts.Ports[0].First}
		if parts.Form == FormOneBelow || parts.Form == FormBelow {
			target.Host = "below." + target.Host
		}
		if d := f.Decide(target); !d.Allowed || d.Rule != pattern {
			t.Errorf("Decide(%s) = %+v, want it allowed by %s", target, d, pattern)
		}
		if !seen[pattern] {
			t.Errorf("the table does not list %s", pattern)
		}
	}
}
