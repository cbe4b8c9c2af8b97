// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

func TestParsePattern(t *testing.T) {
	t.Parallel()
	web, all := []PortRange{{80, 80}, {443, 443}}, []PortRange{{1, 65535}}
	tests := []struct {
		text string
		deny bool
		want PatternParts
	}{
		{" GitHub.com. ", false, PatternParts{Pattern: "GitHub.com.", Host: "github.com", Ports: web}},
		{"github.com", true, PatternParts{Pattern: "github.com", Host: "github.com", Ports: all}},
		{"*.x.test:22", false, PatternParts{Pattern: "*.x.test:22", Form: FormOneBelow, Host: "x.test", Ports: []PortRange{{22, 22}}}},
		{"**.x.test:8000-8100", false, PatternParts{Pattern: "**.x.test:8000-8100", Form: FormBelow, Host: "x.test", Ports: []PortRange{{8000, 8100}}}},
		{"*:*", false, PatternParts{Pattern: "*:*", Form: FormAnyName, Ports: all}},
		{"[::ffff:10.0.0.0/104]:1", false, PatternParts{Pattern: "[::ffff:10.0.0.0/104]:1", Form: FormAddresses,
			Prefix: netip.MustParsePrefix("10.0.0.0/8"), Ports: []PortRange{{1, 1}}}},
	}
	for _, tt := range tests {
		if got, err := ParsePattern(tt.text, tt.deny); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParsePattern(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
	var perr *PatternError
	if _, err := ParsePattern("x:0", false); !errors.As(err, &perr) {
		t.Errorf("ParsePattern(x:0): %v, want a *PatternError", err)
	}
}

// GuardedBlocks says what guardBits does.
func TestGuardedBlocks(t *testing.T) {
	t.Parallel()
	blocks := GuardedBlocks()
	slices.SortFunc(blocks, func(a, b GuardedBlock) int { return b.Prefix.Bits() - a.Prefix.Bits() })
	r := rand.New(rand.NewPCG(1, 2))
	check := func(a netip.Addr) {
		want := 0
		for _, b := range blocks {
			if b.Prefix.Contains(a) {
				want = b.Bits
				break
			}
		}
		if got, special := guardBits(a); got != want || special != (want > 0) {
			t.Errorf("guardBits(%s) = %d, %v; the blocks say %d", a, got, special, want)
		}
	}
	for _, b := range blocks {
		check(b.Prefix.Addr())
		check(b.Prefix.Addr().Next())
		if before := b.Prefix.Addr().Prev(); before.IsValid() && !before.Is4In6() {
			check(before)
		}
	}
	for range 2000 {
		check(randomAddr(r))
	}
}

// EmbeddingPrefixes and ScatteredBlocks together say what embedded does.
func TestEmbeddingPrefixes(t *testing.T) {
	t.Parallel()
	p := netip.MustParsePrefix("10.32.0.0/11")
	list := EmbeddingPrefixes(p)
	for _, text := range []string{
		"10.33.1.2", "10.64.0.1", "64:ff9b::a21:1", "64:ff9b::a41:1", "::10.33.1.2", "::ffff:0:a21:1", "2002:a21:1::9",
		"2002:a41:1::9", "2001:0:a21:1::", "2001:0:a41::1", "2001:db8::1",
	} {
		a := netip.MustParseAddr(text)
		want := p.Contains(a)
		for _, inner := range embedded(a) {
			want = want || inner.IsValid() && p.Contains(inner)
		}
		got := slices.ContainsFunc(list, func(q netip.Prefix) bool { return q.Contains(a) })
		if got != want {
			t.Errorf("%s is in EmbeddingPrefixes(%s): %v, want %v", a, p, got, want)
		}
	}
	for _, b := range ScatteredBlocks() {
		if _, special := guardBits(b.Addr()); !special {
			t.Errorf("%s is not guarded", b)
		}
	}
	for _, name := range MetadataNames() {
		if !isMetadataName(name) {
			t.Errorf("isMetadataName(%s) = false", name)
		}
	}
}
