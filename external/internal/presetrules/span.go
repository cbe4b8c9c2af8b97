// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package presetrules

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Span is the addresses of one family from First to Last, both included.
type Span struct{ First, Last netip.Addr }

// SpanOf returns the addresses of a prefix.
func SpanOf(p netip.Prefix) Span {
	p = p.Masked()
	raw := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(raw); bit++ {
		raw[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(raw)
	return Span{p.Addr(), last}
}

// Union returns the addresses of all spans, as few spans in ascending order, IPv4
// first.
func Union(spans []Span) []Span {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b Span) int { return a.First.Compare(b.First) })
	var out []Span
	for _, s := range sorted {
		if n := len(out); n > 0 && out[n-1].touches(s) {
			if out[n-1].Last.Less(s.Last) {
				out[n-1].Last = s.Last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// touches reports whether next, which begins no earlier, leaves no gap behind s.
func (s Span) touches(next Span) bool {
	if s.First.BitLen() != next.First.BitLen() {
		return false
	}
	after := s.Last.Next()
	return !after.IsValid() || next.First.Compare(after) <= 0
}

// Subtract returns the addresses of from that are in none of the holes.
func Subtract(from, holes []Span) []Span {
	holes = Union(holes)
	var out []Span
	for _, s := range Union(from) {
		for _, h := range holes {
			if h.First.BitLen() != s.First.BitLen() || h.Last.Less(s.First) || s.Last.Less(h.First) {
				continue
			}
			if s.First.Less(h.First) {
				out = append(out, Span{s.First, h.First.Prev()})
			}
			if !h.Last.Less(s.Last) {
				s = Span{}
				break
			}
			s.First = h.Last.Next()
		}
		if s.First.IsValid() {
			out = append(out, s)
		}
	}
	return out
}

// Prefixes returns the span as prefixes, the fewest there are.
func (s Span) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	for first := s.First; first.IsValid() && !s.Last.Less(first); {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || s.Last.Less(SpanOf(wider).Last) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		out = append(out, p)
		first = SpanOf(p).Last.Next()
	}
	return out
}

// mapped is the IPv4 addresses in the form in which some programs keep them. No
// set has them as IPv6 addresses.
var mapped = SpanOf(netip.MustParsePrefix("::ffff:0.0.0.0/96"))

// region is a guarded block without the smaller blocks in it.
type region struct {
	block Span
	bits  int
	spans []Span
}

// regions are disjoint, and hold every guarded address. They are made when a preset asks for them, which
// most programs that link this package never do.
var regions = sync.OnceValue(func() []region { return makeRegions(proxycore.GuardedBlocks()) })

func makeRegions(blocks []proxycore.GuardedBlock) []region {
	var out []region
	for _, b := range blocks {
		if b.Bits == 0 {
			continue
		}
		holes := []Span{mapped}
		for _, inner := range blocks {
			if inner.Prefix.Bits() > b.Prefix.Bits() && b.Prefix.Contains(inner.Prefix.Addr()) {
				holes = append(holes, SpanOf(inner.Prefix))
			}
		}
		span := SpanOf(b.Prefix)
		out = append(out, region{span, b.Bits, Subtract([]Span{span}, holes)})
	}
	return out
}

// Guarded returns the addresses that a name must not have when these allow patterns
// count, which are those for the port.
func Guarded(admitted []netip.Prefix) []Span {
	var out []Span
	for _, r := range regions() {
		var holes []Span
		for _, p := range admitted {
			if p.Bits() >= r.bits {
				holes = append(holes, SpanOf(p))
			}
		}
		out = append(out, Subtract(r.spans, holes)...)
	}
	return Union(out)
}

// Literal returns the addresses that an allow pattern admits when they are asked
// for themselves.
func Literal(p netip.Prefix) []Span {
	holes := []Span{mapped}
	for _, r := range regions() {
		if p.Bits() < r.bits {
			holes = append(holes, r.spans...)
		}
	}
	return Subtract([]Span{SpanOf(p)}, holes)
}

// Denied returns the addresses that a deny pattern refuses, those that carry a
// refused one inside included, as far as prefixes can say.
func Denied(p netip.Prefix) []Span {
	var out []Span
	for _, q := range proxycore.EmbeddingPrefixes(p) {
		out = append(out, SpanOf(q))
	}
	return Subtract(out, []Span{mapped})
}
