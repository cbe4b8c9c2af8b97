// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"cmp"
	"slices"
)

// Ports returns the ports that the allow patterns name: in ascending order, no
// two ranges overlapping or adjacent. What is denied is not taken out. The slice
// is the caller's; it is empty when nothing is allowed.
func (f *Filter) Ports() []PortRange {
	if f == nil {
		return nil
	}
	named := make(map[PortRange]struct{})
	for i := range f.allow.rules {
		for _, r := range f.allow.rules[i].ports() {
			named[r] = struct{}{}
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
func (r *rule) ports() []PortRange {
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
	return f.Decide(Target{Host: host, Port: 443})
}
