// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// addrPattern makes the pattern for a prefix. host is how it was written,
// without ports.
func addrPattern(p netip.Prefix, host, ports string, written, deny bool) (pattern, *mistake) {
	lo, hi, wrong := readPorts(host, ports, written, deny)
	if wrong != nil {
		return pattern{}, wrong
	}
	if p.Addr().Is4In6() {
		// Connections to mapped addresses are IPv4 connections: targets are
		// unmapped too.
		if p.Bits() < 96 {
			return pattern{}, &mistake{problem: "is wider than the IPv4-mapped addresses it begins with", hint: "write an IPv4 prefix such as 10.0.0.0/8"}
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	key := addrKey(p)
	return pattern{key: string(key[:]), kind: kindAddr, portLo: lo, portHi: hi, prefix: p}, nil
}

// readBracketed parses [v6], [v6]:ports, [v6/len] and [v6/len]:ports.
func readBracketed(text string, deny bool) (pattern, *mistake) {
	inner, rest, ok := strings.Cut(text[1:], "]")
	if !ok {
		return pattern{}, &mistake{problem: "has an opening bracket without a closing one", hint: "write [2001:db8::1]:443 or [2001:db8::/32]:443"}
	}
	ports, written := strings.CutPrefix(rest, ":")
	if !written && rest != "" {
		m := &mistake{problem: "has something other than ports after the brackets"}
		if rest[0] == '/' {
			length, tail, _ := strings.Cut(rest, ":")
			if tail != "" {
				tail = ":" + tail
			}
			m.problem, m.instead = "has the prefix length outside the brackets", []string{"[" + inner + length + "]" + tail}
		}
		return pattern{}, m
	}
	if strings.Contains(inner, "%") {
		return pattern{}, zoneMistake(inner, rest)
	}
	address, length, hasLength := strings.Cut(inner, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil || !addr.Is6() {
		return pattern{}, &mistake{problem: "has brackets round something other than an IPv6 address", instead: []string{inner + rest}}
	}
	if !hasLength {
		return addrPattern(netip.PrefixFrom(addr, addr.BitLen()), "["+inner+"]", ports, written, deny)
	}
	p, wrong := readPrefix(addr, length, func(a netip.Addr, l string) string { return "[" + a.String() + l + "]" + rest })
	if wrong != nil {
		return pattern{}, wrong
	}
	return addrPattern(p, "["+inner+"]", ports, written, deny)
}

// zoneMistake is about fe80::1%eth0.
func zoneMistake(inner, rest string) *mistake {
	address, _, _ := strings.Cut(inner, "%")
	return &mistake{problem: "has a zone", instead: []string{"[" + address + "]" + rest}, hint: "no target has a zone"}
}

// readSlashed parses CIDR prefixes outside brackets: 10.0.0.0/8, with ports
// after it, and 2001:db8::/32, without.
func readSlashed(text string, deny bool) (pattern, *mistake) {
	address, rest, _ := strings.Cut(text, "/")
	length, ports, written := strings.Cut(rest, ":")
	tail := rest[len(length):]
	addr, err := netip.ParseAddr(address)
	switch {
	case err != nil && strings.Trim(address, "0123456789.") == "" && address != "":
		return pattern{}, &mistake{problem: "has an address that is not four numbers from 0 to 255",
			instead: []string{padIPv4(address) + "/" + rest}, hint: "a prefix is written as 10.0.0.0/8"}
	case err != nil:
		return pattern{}, &mistake{problem: "has a path in it", instead: []string{address},
			hint: "paths cannot be filtered: inside TLS nobody sees them"}
	case addr.Zone() != "":
		return pattern{}, &mistake{problem: "has a zone", instead: []string{addr.WithZone("").String() + "/" + rest}, hint: "no target has a zone"}
	case addr.Is6() && written:
		return pattern{}, &mistake{problem: "has ports after an IPv6 prefix without brackets", instead: []string{"[" + address + "/" + length + "]:" + ports}}
	}
	p, wrong := readPrefix(addr, length, func(a netip.Addr, l string) string { return a.String() + l + tail })
	if wrong != nil {
		return pattern{}, wrong
	}
	return addrPattern(p, address+"/"+length, ports, written, deny)
}

// readPrefix parses the length of a CIDR prefix and insists that no host bits
// are set: 10.0.0.1/8 may mean one address or the whole network. spell renders
// an address, with a length or "", as a pattern with the same ports.
func readPrefix(addr netip.Addr, length string, spell func(netip.Addr, string) string) (netip.Prefix, *mistake) {
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > addr.BitLen() || strconv.Itoa(n) != length {
		m := &mistake{
			problem: "has a prefix length that is not a number from 0 to " + strconv.Itoa(addr.BitLen()),
			hint:    "for one address leave the slash out",
		}
		if mask, err := netip.ParseAddr(length); err == nil && mask.Is4() && addr.Is4() {
			raw := mask.As4()
			value := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
			if ones := bits.LeadingZeros32(^value); value == ^uint32(0)<<(32-ones) {
				m.instead = []string{spell(addr, "/"+strconv.Itoa(ones))}
				m.hint = "a prefix has a length, not a mask"
			}
		}
		return netip.Prefix{}, m
	}
	p := netip.PrefixFrom(addr, n)
	if masked := p.Masked(); masked.Addr() != addr {
		suffix := "/" + length
		return netip.Prefix{}, &mistake{
			problem: "has address bits set behind its prefix length",
			instead: []string{spell(masked.Addr(), suffix), spell(addr, "")}, or: true,
			hint: "the first is the network, the second the one address",
		}
	}
	return p, nil
}

// padIPv4 completes 10 and 192.168 to four numbers.
func padIPv4(s string) string {
	s = strings.TrimRight(s, ".")
	for strings.Count(s, ".") < 3 {
		s += ".0"
	}
	return s
}

// readBareIPv6 parses an IPv6 address without brackets, which cannot have ports.
func readBareIPv6(text string, deny bool) (pattern, *mistake) {
	last := strings.LastIndexByte(text, ':')
	before, port := text[:last], text[last+1:]
	shorter, errShorter := netip.ParseAddr(before)
	withPort := "[" + before + "]:" + port
	addr, err := netip.ParseAddr(text)
	switch {
	case strings.Contains(text, "%"):
		return pattern{}, zoneMistake(text, "")
	case err == nil && errShorter == nil && shorter.Is6() && strings.Trim(port, "0123456789") == "":
		// 2001:db8::1:443 is an address, but hardly the one that was meant.
		return pattern{}, &mistake{problem: "may be an address or an address with a port", instead: []string{"[" + text + "]", withPort}, or: true}
	case err == nil:
		return addrPattern(netip.PrefixFrom(addr, addr.BitLen()), text, "", false, deny)
	case errShorter == nil && shorter.Is6():
		return pattern{}, &mistake{problem: "has ports after an IPv6 address without brackets", instead: []string{withPort}}
	}
	host, _, _ := strings.Cut(text, ":")
	m := &mistake{problem: "has more than one colon", hint: "write one port or range a pattern; an IPv6 address with ports needs brackets, as in [2001:db8::1]:443"}
	if parts := strings.Split(text, ":"); strings.Contains(host, ".") {
		for _, p := range parts[1:] {
			m.instead = append(m.instead, host+":"+p)
		}
	}
	return pattern{}, m
}
