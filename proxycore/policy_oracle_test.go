// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// oracleRule is one pattern as the oracle understands it: made from its parts,
// never parsed, and matched by comparing strings.
type oracleRule struct {
	text   string
	form   string // "exact", "one", "deep", "any", "addr"
	labels []string
	bits   string // "4" or "6", then the bits of a prefix
	ports  map[int]bool
}

// oracle decides by trying every rule on every request.
type oracle struct{ allow, deny []oracleRule }

// bitString renders a prefix as its family and its bits.
func bitString(p netip.Prefix) string {
	family := "6"
	if p.Addr().Is4() {
		family = "4"
	}
	var b strings.Builder
	for _, c := range p.Addr().AsSlice() {
		fmt.Fprintf(&b, "%08b", c)
	}
	return family + b.String()[:p.Bits()]
}

// matches reports whether a rule is about the target, whatever the port.
func (r *oracleRule) matches(labels []string, bits string) bool {
	n := len(labels) - len(r.labels)
	below := n >= 0 && slices.Equal(labels[max(n, 0):], r.labels)
	switch r.form {
	case "exact":
		return bits == "" && below && n == 0
	case "one":
		return bits == "" && below && n == 1
	case "deep":
		return bits == "" && below && n >= 1
	case "any":
		return bits == ""
	}
	return bits != "" && strings.HasPrefix(bits, r.bits)
}

// oracleBlock is one special block as the oracle sees it.
type oracleBlock struct {
	bits   string
	global bool
}

// oracleBlocks are the registries as bit strings.
var oracleBlocks = func() (list []oracleBlock) {
	for _, b := range slices.Concat(ianaIPv4, ianaIPv6, otherBlocks, metadataBlocks) {
		list = append(list, oracleBlock{bitString(b.prefix), b.global})
	}
	return list
}()

// oracleGuard is the length of the smallest special block with the address,
// over bit strings; 0 for public addresses.
func oracleGuard(bits string) int {
	const nat64 = "6" + "0000000001100100" + "1111111110011011" + "0000000000000000000000000000000000000000000000000000000000000000"
	if inner, ok := strings.CutPrefix(bits, nat64); ok {
		if g := oracleGuard("4" + inner); g > 0 {
			return 96 + g
		}
		return 0
	}
	best, global := -1, false
	for _, b := range oracleBlocks {
		if strings.HasPrefix(bits, b.bits) && len(b.bits) > best {
			best, global = len(b.bits), b.global
		}
	}
	switch {
	case best < 0 && bits[0] == '6' && bits[1:4] != "001":
		return 128
	case best < 0 || global:
		return 0
	}
	return best - 1
}

// decide returns the verdict and the texts of the rules that may be named for it.
func (o *oracle) decide(t Target) (verdict Reason, rules []string) {
	labels, bits := strings.Split(t.Host, "."), ""
	spellings := []string{""}
	if t.Addr.IsValid() {
		labels, bits = nil, bitString(netip.PrefixFrom(t.Addr, t.Addr.BitLen()))
		spellings = []string{bits}
		for _, inner := range embedded(t.Addr) {
			if inner.IsValid() {
				spellings = append(spellings, bitString(netip.PrefixFrom(inner, 32)))
			}
		}
	}
	for i := range o.deny {
		r := &o.deny[i]
		for _, s := range spellings {
			if r.ports[int(t.Port)] && (r.form == "any" || r.matches(labels, s)) {
				rules = append(rules, r.text)
			}
		}
	}
	if len(rules) > 0 {
		return DeniedByRule, rules
	}
	var near []string
	guard := 0
	if bits != "" {
		guard = oracleGuard(bits)
	}
	for i := range o.allow {
		switch r := &o.allow[i]; {
		case !r.matches(labels, bits) || bits != "" && len(r.bits)-1 < guard:
		case r.ports[int(t.Port)]:
			rules = append(rules, r.text)
		default:
			near = append(near, r.text)
		}
	}
	switch {
	case len(rules) > 0:
		return "", rules
	case len(near) > 0:
		return PortNotAllowed, near
	case bits != "":
		return AddressNotAllowed, nil
	}
	return HostNotAllowed, nil
}

// oraclePorts are few, so that rules meet.
var oraclePorts = []int{1, 2, 3, 79, 80, 81, 443, 8000, 65535}

// randomPorts returns the spelling of a set of ports and the set.
func randomPorts(r *rand.Rand, deny bool) (string, map[int]bool) {
	lo, hi := oraclePorts[r.IntN(len(oraclePorts))], oraclePorts[r.IntN(len(oraclePorts))]
	if lo > hi {
		lo, hi = hi, lo
	}
	set := map[int]bool{}
	text := ""
	switch r.IntN(4) {
	case 0:
		if !deny {
			return "", map[int]bool{80: true, 443: true}
		}
		lo, hi = 1, 65535
	case 1:
		text, lo, hi = ":*", 1, 65535
	case 2:
		text, hi = fmt.Sprintf(":%d", lo), lo
	case 3:
		text = fmt.Sprintf(":%d-%d", lo, hi)
	}
	for _, p := range oraclePorts {
		set[p] = lo <= p && p <= hi
	}
	return text, set
}

// randomLabels returns a name of up to five labels from a small alphabet.
func randomLabels(r *rand.Rand) []string {
	labels := []string{"test"}
	for range r.IntN(4) {
		labels = append([]string{[]string{"a", "b", "c-d", "e_f"}[r.IntN(4)]}, labels...)
	}
	return labels
}

// randomAddr returns an address near the edges that matter.
func randomAddr(r *rand.Rand) netip.Addr {
	bases := []string{
		"10.0.0.0", "8.8.8.0", "127.0.0.0", "169.254.169.252", "192.0.0.8", "255.255.255.252",
		"64:ff9b::a00:0", "64:ff9b::808:808", "2002:a00:0::", "2001:db8::", "2606:4700::", "fd00:ec2::250", "::", "4000::",
	}
	a := netip.MustParseAddr(bases[r.IntN(len(bases))])
	for range r.IntN(4) {
		a = a.Next()
	}
	return a
}

// randomRule makes a pattern from parts.
func randomRule(r *rand.Rand, deny bool) oracleRule {
	var rule oracleRule
	ports, set := randomPorts(r, deny)
	rule.ports = set
	rule.labels = randomLabels(r)
	name := strings.Join(rule.labels, ".")
	if r.IntN(2) == 0 {
		name = strings.ToUpper(name)
	}
	switch r.IntN(9) {
	case 0:
		rule.form, rule.text, rule.labels = "any", "*"+ports, nil
	case 1, 2:
		rule.form, rule.text = "one", "*."+name+ports
	case 3, 4:
		rule.form, rule.text = "deep", "**."+name+ports
	case 5, 6:
		rule.form, rule.text = "exact", name+ports
	default:
		a := randomAddr(r)
		lengths := []int{0, 4, 8, 24, 30, a.BitLen() - 2, a.BitLen(), a.BitLen()}
		p := netip.PrefixFrom(a, lengths[r.IntN(len(lengths))]).Masked()
		rule.form, rule.bits, rule.labels = "addr", bitString(p), nil
		rule.text = p.String() + ports
		if a.Is6() {
			rule.text = "[" + p.String() + "]" + ports
		}
	}
	return rule
}

// checkAgainstOracle compares a random policy with the oracle on random targets.
func checkAgainstOracle(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var o oracle
	var p Policy
	for range r.IntN(12) {
		o.allow = append(o.allow, randomRule(r, false))
	}
	for range r.IntN(3) {
		o.deny = append(o.deny, randomRule(r, true))
	}
	for _, rule := range o.allow {
		p.Allow = append(p.Allow, rule.text)
	}
	for _, rule := range o.deny {
		p.Deny = append(p.Deny, rule.text)
	}
	f, err := NewFilter(p)
	if err != nil {
		t.Fatalf("seed %d: %+v: %v", seed, p, err)
	}
	for range 40 {
		target := Target{Port: uint16(oraclePorts[r.IntN(len(oraclePorts))])}
		if r.IntN(3) == 0 {
			target.Addr = randomAddr(r)
		} else {
			target.Host = strings.Join(randomLabels(r), ".")
		}
		want, rules := o.decide(target)
		got := f.Decide(target)
		if got.Reason != want || got.Allowed != (want == "") || got.Rule == "" && len(rules) > 0 || got.Rule != "" && !slices.Contains(rules, got.Rule) {
			t.Fatalf("seed %d: %+v: Decide(%s) = %+v, want reason %q by one of %q", seed, p, target, got, want, rules)
		}
	}
}

// TestDecideOracle: the table finds what trying every rule finds.
func TestDecideOracle(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		checkAgainstOracle(t, seed)
	}
}

// FuzzDecide is TestDecideOracle without an end.
func FuzzDecide(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkAgainstOracle)
}
