// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"cmp"
	"net/netip"
	"slices"
)

// block is one entry of a registry of addresses that are not simply public.
type block struct {
	prefix netip.Prefix
	// global: the registry says "Globally Reachable: True". Such an entry is an
	// exception to a larger block around it.
	global bool
}

// specialBlocks4 and specialBlocks6 hold the blocks below, the smallest first,
// so that the first one that contains an address is the smallest that does.
var (
	specialBlocks4 = sortBlocks(true, ianaIPv4, otherBlocks, metadataBlocks)
	specialBlocks6 = sortBlocks(false, ianaIPv6, otherBlocks, metadataBlocks)
)

// ianaIPv4 is the IANA IPv4 Special-Purpose Address Registry (RFC 6890),
// https://www.iana.org/assignments/iana-ipv4-special-registry. Entries marked
// N/A there count as not reachable.
var ianaIPv4 = []block{
	special("0.0.0.0/8"),          // "this network", RFC 791
	special("0.0.0.0/32"),         // "this host on this network", RFC 1122
	special("10.0.0.0/8"),         // private use, RFC 1918
	special("100.64.0.0/10"),      // shared address space (CGNAT), RFC 6598
	special("127.0.0.0/8"),        // loopback, RFC 1122
	special("169.254.0.0/16"),     // link local, RFC 3927
	special("172.16.0.0/12"),      // private use, RFC 1918
	special("192.0.0.0/24"),       // IETF protocol assignments, RFC 6890
	special("192.0.0.0/29"),       // IPv4 service continuity, RFC 7335
	special("192.0.0.8/32"),       // IPv4 dummy address, RFC 7600
	global("192.0.0.9/32"),        // port control protocol anycast, RFC 7723
	global("192.0.0.10/32"),       // TURN anycast, RFC 8155
	special("192.0.0.170/32"),     // NAT64/DNS64 discovery, RFC 8880
	special("192.0.0.171/32"),     // NAT64/DNS64 discovery, RFC 8880
	special("192.0.2.0/24"),       // documentation TEST-NET-1, RFC 5737
	global("192.31.196.0/24"),     // AS112-v4, RFC 7535
	global("192.52.193.0/24"),     // AMT, RFC 7450
	special("192.88.99.0/24"),     // deprecated 6to4 relay anycast, RFC 7526
	special("192.168.0.0/16"),     // private use, RFC 1918
	global("192.175.48.0/24"),     // direct delegation AS112, RFC 7534
	special("198.18.0.0/15"),      // benchmarking, RFC 2544
	special("198.51.100.0/24"),    // documentation TEST-NET-2, RFC 5737
	special("203.0.113.0/24"),     // documentation TEST-NET-3, RFC 5737
	special("240.0.0.0/4"),        // reserved, RFC 1112
	special("255.255.255.255/32"), // limited broadcast, RFC 919
}

// ianaIPv6 is the IANA IPv6 Special-Purpose Address Registry (RFC 6890),
// https://www.iana.org/assignments/iana-ipv6-special-registry. 64:ff9b::/96 is
// not here because guardBits looks behind it, and ::ffff:0:0/96 is not because
// addresses are unmapped before.
var ianaIPv6 = []block{
	special("::1/128"),          // loopback, RFC 4291
	special("::/128"),           // unspecified, RFC 4291
	special("64:ff9b:1::/48"),   // local-use NAT64, RFC 8215
	special("100::/64"),         // discard only, RFC 6666
	special("100:0:0:1::/64"),   // dummy prefix, RFC 9780
	special("2001::/23"),        // IETF protocol assignments, RFC 2928
	special("2001::/32"),        // Teredo, RFC 4380
	global("2001:1::1/128"),     // port control protocol anycast, RFC 7723
	global("2001:1::2/128"),     // TURN anycast, RFC 8155
	global("2001:1::3/128"),     // DNS-SD service registration anycast, RFC 9665
	special("2001:2::/48"),      // benchmarking, RFC 5180
	global("2001:3::/32"),       // AMT, RFC 7450
	global("2001:4:112::/48"),   // AS112-v6, RFC 7535
	special("2001:10::/28"),     // deprecated ORCHID, RFC 4843
	global("2001:20::/28"),      // ORCHIDv2, RFC 7343
	global("2001:30::/28"),      // drone remote ID, RFC 9374
	special("2001:db8::/32"),    // documentation, RFC 3849
	special("2002::/16"),        // 6to4, RFC 3056: reaches the IPv4 address inside
	global("2620:4f:8000::/48"), // direct delegation AS112, RFC 7534
	special("3fff::/20"),        // documentation, RFC 9637
	special("5f00::/16"),        // segment routing SIDs, RFC 9602
	special("fc00::/7"),         // unique local, RFC 4193
	special("fe80::/10"),        // link-local unicast, RFC 4291
}

// otherBlocks are not in the special-purpose registries but in others of IANA,
// or withdrawn.
var otherBlocks = []block{
	special("224.0.0.0/4"),     // multicast, RFC 5771
	special("ff00::/8"),        // multicast, RFC 4291 section 2.7
	special("fec0::/10"),       // site-local unicast, deprecated by RFC 3879
	special("::/96"),           // IPv4-compatible, deprecated by RFC 4291
	special("::ffff:0:0:0/96"), // IPv4-translated, RFC 2765
}

// metadataBlocks are the single addresses on which clouds hand out instance
// credentials. Listing them makes them blocks of their own, which only a
// pattern with the very address admits: whoever opens link-local or CGNAT
// ranges hardly means these. The Azure address is even public.
var metadataBlocks = []block{
	special("169.254.169.254/32"), // AWS, GCP, Azure, and most others
	special("169.254.170.2/32"),   // AWS ECS task credentials
	special("169.254.170.23/32"),  // AWS EKS pod identity
	special("fd00:ec2::254/128"),  // AWS over IPv6
	special("fd00:ec2::23/128"),   // AWS EKS pod identity over IPv6
	special("fd20:ce::254/128"),   // GCP over IPv6
	special("100.100.100.200/32"), // Alibaba Cloud
	special("168.63.129.16/32"),   // Azure platform (WireServer)
	special("192.0.0.192/32"),     // Oracle Cloud, classic
}

// special returns the block of a prefix whose addresses stay guarded.
func special(prefix string) block { return block{prefix: netip.MustParsePrefix(prefix)} }

// global returns the block of a prefix that is public within a guarded one.
func global(prefix string) block { return block{prefix: netip.MustParsePrefix(prefix), global: true} }

// sortBlocks joins the blocks of one family, the smallest first.
func sortBlocks(is4 bool, registries ...[]block) []block {
	all := slices.Concat(registries...)
	all = slices.DeleteFunc(all, func(b block) bool { return b.prefix.Addr().Is4() != is4 })
	slices.SortFunc(all, func(a, b block) int { return cmp.Compare(b.prefix.Bits(), a.prefix.Bits()) })
	return all
}
