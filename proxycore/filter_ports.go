// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strings"
)

// Ports returns the ports that the allow patterns name: in ascending order, no
// two ranges overlapping or adjacent. What is denied is not taken out. The slice
// is the caller's; it is empty when nothing is allowed.
func (f *Filter) Ports() []PortRange {
	if f == nil {
		return nil
	}
	named := make(map[PortRange]struct{})
	for r := range f.allow.all() {
		for _, ports := range r.ports() {
			named[ports] = struct{}{}
		}
	}
	ranges := make([]PortRange, 0, len(named))
	for r := range named {
		ranges = append(ranges, r)
	}
	return mergePorts(ranges)
}

// webPorts is what a rule without written ports admits.
var webPorts = []PortRange{{80, 80}, {443, 443}}

// ports gives the ports that r admits.
func (r rule) ports() []PortRange {
	if r.portLo == web {
		return webPorts
	}
	return []PortRange{{r.portLo, r.portHi}}
}

// mergePorts sorts ranges and joins those that touch. It works in place.
func mergePorts(ranges []PortRange) []PortRange {
	slices.SortFunc(ranges, func(a, b PortRange) int { return cmp.Compare(a.First, b.First) })
	merged := ranges[:0]
	for _, r := range ranges {
		if n := len(merged); n > 0 && int(r.First) <= int(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// DecideName judges a name, in the form of [Target].Host, without a port: it is
// allowed when [Filter.Decide] allows it with at least one port. That is what a
// name server asks, before anybody knows which port the name is wanted for.
func (f *Filter) DecideName(host string) Decision {
	web := f.Decide(Target{Host: host, Port: 443})
	if web.Allowed || web.Reason == MalformedRequest || f == nil {
		return web
	}
	why := web
	for port := range f.firstPorts(host) {
		d := f.Decide(Target{Host: host, Port: port})
		switch {
		case d.Allowed:
			return d
		case why == web && d.Reason != PortNotAllowed && d.Reason != HostNotAllowed:
			why = d // an allowed port that something else refuses says more
		}
	}
	return why
}

// firstPorts yields the ports at which a stretch of ports that f allows host can
// begin: where those of a pattern begin, and behind those of one that denies.
func (f *Filter) firstPorts(host string) iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for r := range f.allow.rulesOf(host) {
			for _, p := range r.ports() {
				if !yield(p.First) {
					return
				}
			}
		}
		for r := range f.deny.rulesOf(host) {
			if r.portHi < math.MaxUint16 && !yield(r.portHi+1) {
				return
			}
		}
		if !isLocalhost(host) {
			return
		}
		// "*" admits localhost where a pattern for its addresses does.
		for r := range f.allow.all() {
			for _, p := range r.ports() {
				if r.kind == kindAddr && !yield(p.First) {
					return
				}
			}
		}
	}
}

// rulesOf yields the rules that match a canonical name with some port.
func (t *table) rulesOf(name string) iter.Seq[rule] {
	return func(yield func(rule) bool) {
		if t.count == 0 {
			return
		}
		rest := name
		for depth := 0; ; depth++ {
			g := t.lookup(rest)
			for i := range g.len() {
				if r := g.rule(i); r.matches(depth) && !yield(r) {
					return
				}
			}
			if rest == "" {
				return
			}
			_, rest, _ = strings.Cut(rest, ".")
		}
	}
}

// all yields every rule of the table.
func (t *table) all() iter.Seq[rule] {
	return func(yield func(rule) bool) {
		for rest := t.arena; rest != ""; {
			var g group
			g, rest = cutGroup(rest)
			for i := range g.len() {
				if !yield(g.rule(i)) {
					return
				}
			}
		}
	}
}

// matches reports whether r is about names that many labels below its key.
func (r rule) matches(depth int) bool {
	switch r.kind {
	case kindExact:
		return depth == 0
	case kindOne:
		return depth == 1
	case kindDeep:
		return depth > 0
	}
	return false
}
