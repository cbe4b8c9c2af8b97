// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package presetrules holds what the presets of several proxies need to write a
// policy down in another program's words: the patterns taken apart, sets of
// addresses, sets of ports, and regular expressions for names. What a pattern
// means is proxycore's alone.
package presetrules

import (
	"errors"
	"slices"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Rule is one pattern.
type Rule = proxycore.PatternParts

// Rules is a policy taken apart, in the order in which it was written.
type Rules struct{ Allow, Deny []Rule }

// Parse reads both lists. Its error is that of [proxycore.NewFilter], with every
// pattern that cannot be used.
func Parse(allow, deny []string) (Rules, error) {
	if _, err := proxycore.NewFilter(proxycore.Policy{Allow: allow, Deny: deny}); err != nil {
		return Rules{}, err
	}
	a, errA := parseList(allow, false)
	d, errD := parseList(deny, true)
	return Rules{a, d}, errors.Join(errA, errD)
}

func parseList(list []string, deny bool) ([]Rule, error) {
	rules := make([]Rule, 0, len(list))
	for _, text := range list {
		r, err := proxycore.ParsePattern(text, deny)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// Names returns the rules of a list that are about names.
func Names(list []Rule) []Rule {
	return keep(list, func(r Rule) bool { return r.Form != proxycore.FormAddresses })
}

// Addresses returns the rules of a list that are about addresses.
func Addresses(list []Rule) []Rule {
	return keep(list, func(r Rule) bool { return r.Form == proxycore.FormAddresses })
}

func keep(list []Rule, want func(Rule) bool) []Rule {
	return slices.DeleteFunc(slices.Clone(list), func(r Rule) bool { return !want(r) })
}

// AdmitsPort reports whether port is one of r's.
func AdmitsPort(r Rule, port uint16) bool {
	return slices.ContainsFunc(r.Ports, func(p proxycore.PortRange) bool { return p.First <= port && port <= p.Last })
}

// PortClasses cuts the ports from 1 to 65535 into ranges within which no rule
// tells one port from another.
func PortClasses(list []Rule) []proxycore.PortRange {
	starts := []int{1}
	for _, r := range list {
		for _, p := range r.Ports {
			starts = append(starts, int(p.First), int(p.Last)+1)
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	var classes []proxycore.PortRange
	for i, first := range starts {
		last := 65535
		if i+1 < len(starts) {
			last = starts[i+1] - 1
		}
		if first <= last {
			classes = append(classes, proxycore.PortRange{First: uint16(first), Last: uint16(last)})
		}
	}
	return classes
}
