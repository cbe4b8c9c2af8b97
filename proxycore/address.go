// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/binary"
	"net/netip"
)

// Well-known prefixes of addresses that carry an IPv4 address inside.
var (
	nat64WellKnown = netip.MustParsePrefix("64:ff9b::/96")         // RFC 6052 section 2.1
	nat64LocalUse  = netip.MustParsePrefix("64:ff9b:1::/48")       // RFC 8215
	sixToFour      = netip.MustParsePrefix("2002::/16")            // RFC 3056
	teredo         = netip.MustParsePrefix("2001::/32")            // RFC 4380
	v4Compatible   = netip.MustParsePrefix("::/96")                // RFC 4291 section 2.5.5.1, deprecated
	v4Translated   = netip.MustParsePrefix("::ffff:0:0:0/96")      // RFC 2765 section 2.1
	globalUnicast  = netip.MustParsePrefix("2000::/3")             // IANA IPv6 address space registry
	loopback4      = netip.MustParsePrefix("127.0.0.0/8")          // RFC 1122 section 3.2.1.3
	loopback6      = netip.PrefixFrom(netip.IPv6Loopback(), 128)   // RFC 4291 section 2.5.3
	thisHost4      = netip.PrefixFrom(netip.IPv4Unspecified(), 32) // dialled, it is this machine
	thisHost6      = netip.PrefixFrom(netip.IPv6Unspecified(), 128)
)

// nat64Bits is the length of the prefix before the IPv4 address in a NAT64
// address under the well-known prefix.
const nat64Bits = 96

// guardBits says how narrow an address pattern must be to admit a: special is
// false and bits 0 for public addresses, which any pattern admits. A special-purpose address
// is admitted only by a pattern that lies whole within the smallest block around
// the address, and such a pattern has at least bits bits. So 0.0.0.0/0
// admits the Internet and not 10.0.0.1, and 10.0.0.0/8 admits 10.0.0.1.
//
// a must be unmapped and without a zone.
func guardBits(a netip.Addr) (bits int, special bool) {
	if nat64WellKnown.Contains(a) {
		// Public exactly when the address behind the translator is.
		if bits, special = guardBits(low4(a)); special {
			bits += nat64Bits
		}
		return bits, special
	}
	blocks := specialBlocks6
	if a.Is4() {
		blocks = specialBlocks4
	}
	for i := range blocks {
		switch b := &blocks[i]; {
		case !b.prefix.Contains(a):
		case b.global:
			return 0, false
		default:
			return b.prefix.Bits(), true
		}
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		// Reserved by the IETF (RFC 4291 section 2.4): nothing public is here.
		return a.BitLen(), true
	}
	return 0, false
}

// embedded returns the IPv4 addresses that a carries, for deny patterns: a
// denied address stays denied in every wrapping. At most two are valid.
func embedded(a netip.Addr) [2]netip.Addr {
	if !a.Is6() {
		return [2]netip.Addr{}
	}
	raw := a.As16()
	switch {
	case nat64WellKnown.Contains(a), v4Compatible.Contains(a), v4Translated.Contains(a):
		return [2]netip.Addr{low4(a)}
	case nat64LocalUse.Contains(a):
		// An operator takes all of the /48 (RFC 6052 section 2.2: bits 64 to 71
		// are skipped) or a /96 in it.
		return [2]netip.Addr{netip.AddrFrom4([4]byte{raw[6], raw[7], raw[9], raw[10]}), low4(a)}
	case sixToFour.Contains(a):
		return [2]netip.Addr{netip.AddrFrom4([4]byte(raw[2:6]))}
	case teredo.Contains(a):
		// RFC 4380 section 4: server in clear, client with every bit flipped.
		client := ^binary.BigEndian.Uint32(raw[12:])
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], client)
		return [2]netip.Addr{netip.AddrFrom4([4]byte(raw[4:8])), netip.AddrFrom4(b)}
	}
	return [2]netip.Addr{}
}

// low4 returns the last four bytes of a as an IPv4 address.
func low4(a netip.Addr) netip.Addr {
	raw := a.As16()
	return netip.AddrFrom4([4]byte(raw[12:]))
}

// plain returns a in the form that rules are compared in: unmapped, no zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// namesLoopback reports whether every address of p is this machine.
func namesLoopback(p netip.Prefix) bool {
	for _, l := range [...]netip.Prefix{loopback4, loopback6, thisHost4, thisHost6} {
		if l.Contains(p.Addr()) && p.Bits() >= l.Bits() {
			return true
		}
	}
	return false
}
