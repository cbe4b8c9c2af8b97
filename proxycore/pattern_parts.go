// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import "net/netip"

// PatternForm is what a pattern matches.
type PatternForm uint8

// The forms of a pattern, in the order of the table in [Policy].
const (
	FormName      PatternForm = iota // one name: github.com
	FormOneBelow                     // the names one label below one: *.github.com
	FormBelow                        // all names below one: **.github.com
	FormAnyName                      // every name, and on a deny list every address too: *
	FormAddresses                    // the addresses of a prefix: 10.0.0.0/8
)

// PortRange is the ports from First to Last, both included, neither 0.
type PortRange struct{ First, Last uint16 }

// PatternParts is a pattern taken apart, for those who write a policy down in the
// words of another program.
type PatternParts struct {
	// Pattern is the text, without the blanks around it.
	Pattern string
	Form    PatternForm
	// Host is the name, in the form in which it is compared, of [FormName],
	// [FormOneBelow] and [FormBelow]; "" else.
	Host string
	// Prefix is that of [FormAddresses]; invalid else. It is never IPv4-mapped.
	Prefix netip.Prefix
	// Ports is in ascending order and never empty: what was written, or what a
	// pattern of its list means without ports.
	Ports []PortRange
}

// ParsePattern takes apart one pattern of an allow or a deny list. The error is a
// *[PatternError].
func ParsePattern(text string, deny bool) (PatternParts, error) {
	p, perr := parsePattern(text, deny)
	if perr != nil {
		return PatternParts{}, perr
	}
	parts := PatternParts{Pattern: p.text, Host: p.key, Ports: []PortRange{{p.portLo, p.portHi}}}
	if p.portLo == web {
		parts.Ports = []PortRange{{80, 80}, {443, 443}}
	}
	switch {
	case p.kind == kindAddr:
		parts.Form, parts.Host, parts.Prefix = FormAddresses, "", p.prefix
	case p.kind == kindDeep && p.key == "":
		parts.Form = FormAnyName
	case p.kind == kindDeep:
		parts.Form = FormBelow
	case p.kind == kindOne:
		parts.Form = FormOneBelow
	}
	return parts, nil
}

// GuardedBlock is a block of addresses and how they are guarded. Of two blocks
// that hold an address the smaller counts; what is in none is public.
type GuardedBlock struct {
	Prefix netip.Prefix
	// Bits is how long the prefix of an allow pattern has to be to admit an address
	// of the block; 0 for a public block within a guarded one.
	Bits int
}

// GuardedBlocks returns what [Filter] takes for special-purpose, for programs that
// cannot ask it. The addresses are never IPv4-mapped. The slice is the caller's.
func GuardedBlocks() []GuardedBlock {
	var list []GuardedBlock
	for _, b := range specialBlocks4 {
		g := GuardedBlock{Prefix: b.prefix}
		nat64 := GuardedBlock{Prefix: behindNAT64(b.prefix)}
		if !b.global {
			g.Bits = b.prefix.Bits()
			nat64.Bits = nat64.Prefix.Bits()
		}
		list = append(list, g, nat64)
	}
	for _, b := range specialBlocks6 {
		g := GuardedBlock{Prefix: b.prefix}
		if !b.global {
			g.Bits = b.prefix.Bits()
		}
		list = append(list, g)
	}
	list = append(list, GuardedBlock{Prefix: nat64WellKnown})
	// All but globalUnicast is reserved.
	for _, reserved := range []string{"::/3", "4000::/2", "8000::/1"} {
		list = append(list, GuardedBlock{Prefix: netip.MustParsePrefix(reserved), Bits: 128})
	}
	return list
}

// behindNAT64 returns the prefix under which a translator reaches p.
func behindNAT64(p netip.Prefix) netip.Prefix {
	raw, inner := nat64WellKnown.Addr().As16(), p.Addr().As4()
	copy(raw[12:], inner[:])
	return netip.PrefixFrom(netip.AddrFrom16(raw), nat64Bits+p.Bits())
}

// EmbeddingPrefixes returns the prefixes whose addresses carry an IPv4 address of p
// where a prefix can say so, p itself first: a denied address stays denied in
// them. The other wrappings, in which the IPv4 address stands behind bits of its
// own choice, are in the blocks of [ScatteredBlocks]. Of an IPv6 prefix it is p alone.
func EmbeddingPrefixes(p netip.Prefix) []netip.Prefix {
	list := []netip.Prefix{p}
	if !p.Addr().Is4() {
		return list
	}
	inner := p.Addr().As4()
	for _, outer := range []netip.Prefix{nat64WellKnown, v4Compatible, v4Translated, sixToFour, teredo} {
		raw := outer.Addr().As16()
		copy(raw[outer.Bits()/8:], inner[:])
		list = append(list, netip.PrefixFrom(netip.AddrFrom16(raw), outer.Bits()+p.Bits()))
	}
	return list
}

// ScatteredBlocks returns the blocks whose addresses carry an IPv4 address that no
// prefix tells. All are guarded.
func ScatteredBlocks() []netip.Prefix { return []netip.Prefix{nat64LocalUse, teredo} }

// MetadataNames returns the names under which clouds hand out instance credentials.
// No wildcard admits one.
func MetadataNames() []string {
	return []string{"metadata.google.internal", "metadata.goog", "metadata.azure.internal", "instance-data.ec2.internal"}
}

// IsLocalhost reports localhost and the names below it, which mean loopback and
// are never asked from a resolver. host is in the form of [Target.Host].
func IsLocalhost(host string) bool { return isLocalhost(host) }
