// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import "net/netip"

// specialBlocks are the blocks of the IANA special-purpose registries, and those that carry an IPv4
// address inside an IPv6 one: here these are special whatever they carry.
var specialBlocks = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

// wrappers are the blocks the fault WrappersOpen forgets.
var wrappers = prefixes("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16")

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

// special reports that an address is not to be reached through a name.
func special(a netip.Addr, f Faults) bool {
	if a.Is4In6() {
		if f.Has(WrappersOpen) {
			return false
		}
		a = a.Unmap()
	}
	if f.Has(WrappersOpen) && within(a, wrappers) && !a.IsLoopback() && !a.IsUnspecified() {
		return false
	}
	return within(a, specialBlocks)
}

func within(a netip.Addr, blocks []netip.Prefix) bool {
	for _, b := range blocks {
		if b.Contains(a) {
			return true
		}
	}
	return false
}
