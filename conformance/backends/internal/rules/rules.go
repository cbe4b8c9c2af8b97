// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package rules reads the suite's policy lines, so that they can be put into the configuration of a proxy
// that knows nothing of them.
package rules

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Kind is what a rule admits.
type Kind int

// Kinds of rules, from the narrowest to the widest.
const (
	Exact   Kind = iota // Host itself
	One                 // one label below Host
	Deep                // one or more labels below Host
	Any                 // every name
	Address             // the addresses in Prefix
)

// Ports is a range of ports, both ends included.
type Ports struct{ First, Last uint16 }

// Rule is one policy line.
type Rule struct {
	// Line is the text the rule was read from.
	Line string
	Kind Kind
	// Host is the name in lower case, of the kinds Exact, One and Deep.
	Host string
	// Prefix is of the kind Address only.
	Prefix netip.Prefix
	// Ports is nil when the line names none: 443 and 80 for a line that allows, every port for one that denies.
	Ports *Ports
}

// hostName are labels with a dot between any two.
var hostName = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)

// ParseAll reads lines in order.
func ParseAll(lines []string) ([]Rule, error) {
	all := make([]Rule, 0, len(lines))
	for _, line := range lines {
		r, err := Parse(line)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Parse reads one line.
func Parse(line string) (Rule, error) {
	r := Rule{Line: line}
	host, ports, hasPorts := strings.Cut(line, ":")
	if rest, ok := strings.CutPrefix(line, "["); ok {
		var tail string
		host, tail, _ = strings.Cut(rest, "]")
		ports, hasPorts = strings.CutPrefix(tail, ":")
	} else if strings.Count(line, ":") > 1 {
		host, hasPorts = line, false // an IPv6 address without a port
	}
	if hasPorts {
		p, err := parsePorts(ports)
		if err != nil {
			return Rule{}, fmt.Errorf("backends: policy line %q: %w", line, err)
		}
		r.Ports = &p
	}
	if prefix, ok := parseAddress(host); ok {
		r.Kind, r.Prefix = Address, prefix
		return r, nil
	}
	r.Host = strings.ToLower(host)
	switch {
	case r.Host == "*":
		r.Kind, r.Host = Any, ""
	case strings.HasPrefix(r.Host, "**."):
		r.Kind, r.Host = Deep, r.Host[3:]
	case strings.HasPrefix(r.Host, "*."):
		r.Kind, r.Host = One, r.Host[2:]
	}
	if r.Kind != Any && !hostName.MatchString(r.Host) {
		return Rule{}, fmt.Errorf("backends: policy line %q is not understood", line)
	}
	return r, nil
}

func parseAddress(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), true
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

func parsePorts(text string) (Ports, error) {
	if text == "*" {
		return Ports{1, 65535}, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if errA != nil || errB != nil || a == 0 || a > b {
		return Ports{}, fmt.Errorf("ports %q are not understood", text)
	}
	return Ports{uint16(a), uint16(b)}, nil
}

// Regexp returns a POSIX extended regular expression for the names the rule admits, with one dot at the
// end or none, in lower case. It is "" for addresses.
func (r Rule) Regexp() string {
	const label = `[a-z0-9_-]+\.`
	host := strings.ReplaceAll(r.Host, ".", `\.`)
	switch r.Kind {
	case Exact:
		return "^" + host + `\.?$`
	case One:
		return "^" + label + host + `\.?$`
	case Deep:
		return "^(" + label + ")+" + host + `\.?$`
	case Any:
		// The last label of a name begins with a letter; that of an address, in whatever spelling, does not.
		return "^(" + label + `)*[a-z][a-z0-9-]*\.?$`
	}
	return ""
}
