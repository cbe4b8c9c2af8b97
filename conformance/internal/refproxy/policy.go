// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// rule is one parsed policy line.
type rule struct {
	text   string
	name   string // of a name rule: lower case, without the stars
	stars  int    // 0 exact, 1 one label below, 2 any number of labels below, 3 every name
	prefix netip.Prefix
	lo, hi uint16 // 0, 0: the line names no port
}

type policy struct {
	allow, deny []rule
	faults      Faults
}

func newPolicy(allow, deny []string, f Faults) (*policy, error) {
	p := &policy{faults: f}
	for _, list := range []struct {
		lines []string
		into  *[]rule
	}{{allow, &p.allow}, {deny, &p.deny}} {
		for _, line := range list.lines {
			r, err := parseRule(line, f)
			if err != nil && f.Has(BadLinesIgnored) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("refproxy: policy line %q: %w", line, err)
			}
			*list.into = append(*list.into, r)
		}
	}
	return p, nil
}

func parseRule(line string, f Faults) (rule, error) {
	r := rule{text: line}
	if pfx, err := netip.ParsePrefix(line); err == nil {
		r.prefix = pfx.Masked()
		return r, nil
	}
	if a, err := netip.ParseAddr(strings.Trim(line, "[]")); err == nil {
		r.prefix = netip.PrefixFrom(a, a.BitLen())
		return r, nil
	}
	host, err := r.splitPorts(line)
	if err != nil {
		return r, err
	}
	if pfx, err := netip.ParsePrefix(host); err == nil {
		r.prefix = pfx.Masked()
		return r, nil
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		r.prefix = netip.PrefixFrom(a, a.BitLen())
		return r, nil
	}
	switch {
	case host == "*":
		r.stars = 3
		return r, nil
	case strings.HasPrefix(host, "**."):
		r.stars, host = 2, host[3:]
	case strings.HasPrefix(host, "*."):
		r.stars, host = 1, host[2:]
	}
	r.name = strings.ToLower(host)
	if f.Has(RuleCaseKept) {
		r.name = host
	}
	return r, checkName(strings.ToLower(host), nil)
}

// splitPorts takes the port, the range or the star off the end of a line.
func (r *rule) splitPorts(line string) (string, error) {
	i := strings.LastIndexByte(line, ':')
	if i < 0 {
		return line, nil
	}
	host, ports := line[:i], line[i+1:]
	if ports == "*" {
		r.lo, r.hi = 1, 65535
		return host, nil
	}
	from, to, isRange := strings.Cut(ports, "-")
	if !isRange {
		to = from
	}
	lo, err1 := strconv.ParseUint(from, 10, 16)
	hi, err2 := strconv.ParseUint(to, 10, 16)
	if err1 != nil || err2 != nil || lo == 0 || lo > hi {
		return "", fmt.Errorf("%q is no port", ports)
	}
	r.lo, r.hi = uint16(lo), uint16(hi)
	return host, nil
}

// port reports whether the rule covers a port. A line without one means 443 and 80 where it allows and
// every port where it denies.
func (r rule) port(port uint16, denies bool) bool {
	if r.lo == 0 {
		return denies || port == 443 || port == 80
	}
	return r.lo <= port && port <= r.hi
}

// host reports whether the rule covers a name.
func (r rule) host(name string, f Faults) bool {
	if r.prefix.IsValid() || f.Has(FeaturesIgnored) && (r.stars > 0 || r.lo > 0) {
		return false
	}
	below, isBelow := strings.CutSuffix(name, "."+r.name)
	switch {
	case r.stars == 3:
		return true
	case r.stars == 2:
		return isBelow || f.Has(WildcardApex) && name == r.name
	case r.stars == 1:
		return isBelow && (f.Has(WildcardDeep) || !strings.Contains(below, ".")) || f.Has(WildcardApex) && name == r.name
	case name == r.name:
		return true
	case f.Has(SuffixMatch):
		return strings.HasSuffix(name, r.name)
	case f.Has(PrefixMatch):
		return strings.HasPrefix(name, r.name)
	case f.Has(SubdomainImplied):
		return isBelow || strings.HasSuffix(r.name, "."+name) || strings.HasPrefix(r.name, name+".")
	}
	return false
}

// name decides about a target with a name, before anything is resolved.
func (p *policy) name(name string, port uint16) bool {
	if p.faults.Has(AllowAll) {
		return true
	}
	if p.faults.Has(DenyAll) || p.faults.Has(DenyOverreaches) && len(p.deny) > 0 {
		return false
	}
	if isLocalhost(name) && !p.faults.Has(LocalhostOpen) {
		return false
	}
	if isLocalhost(name) {
		return true
	}
	if p.faults.Has(OnlyHTTPS) && port == 80 || p.faults.Has(OnlyHTTP) && port == 443 {
		return false
	}
	match := func(r rule, denies bool) bool {
		return r.host(name, p.faults) && (r.port(port, denies) || p.faults.Has(PortIgnored) && !denies)
	}
	if !p.faults.Has(DenyIgnored) && slices.ContainsFunc(p.deny, func(r rule) bool { return match(r, true) }) {
		return false
	}
	return slices.ContainsFunc(p.allow, func(r rule) bool { return match(r, false) })
}

// literal decides about a target that is an address, which only an address rule admits.
func (p *policy) literal(a netip.Addr, port uint16) bool {
	f := p.faults
	switch {
	case f.Has(AllowAll), f.Has(LiteralsOpen), f.Has(PublicLiteralsOpen) && !special(a, f),
		f.Has(AnyAdmitsLiterals) && slices.ContainsFunc(p.allow, func(r rule) bool { return r.stars == 3 }):
		return true
	case f.Has(DenyAll):
		return false
	}
	return p.admits(a, port)
}

// address decides about an address a name has resolved to.
func (p *policy) address(a netip.Addr, port uint16) bool {
	if p.faults.Has(AllowAll) || p.faults.Has(AddressesUnchecked) || !special(a, p.faults) {
		return true
	}
	return p.admits(a, port)
}

func (p *policy) admits(a netip.Addr, port uint16) bool {
	if p.faults.Has(FeaturesIgnored) {
		return false
	}
	a = a.Unmap()
	in := func(r rule) bool { return r.prefix.IsValid() && r.prefix.Contains(a) }
	if slices.ContainsFunc(p.deny, func(r rule) bool { return in(r) && r.port(port, true) }) {
		return false
	}
	return slices.ContainsFunc(p.allow, func(r rule) bool {
		return in(r) && (r.port(port, false) || p.faults.Has(AddressPortIgnored))
	})
}

func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
