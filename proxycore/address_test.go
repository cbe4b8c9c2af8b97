// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"testing"
)

// TestGuardBits walks the edges of every block: its first and last address are
// special, their neighbours outside are not unless another block has them.
func TestGuardBits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id             string
		special        []string
		public         []string
		wantBitsOfHead int
	}{
		{"this network", []string{"0.1.2.3", "0.255.255.255"}, []string{"1.0.0.0"}, 8},
		{"this host", []string{"0.0.0.0"}, nil, 32},
		{"RFC 1918", []string{"10.0.0.0", "10.255.255.255"}, []string{"9.255.255.255", "11.0.0.0"}, 8},
		{"RFC 1918", []string{"172.16.0.0", "172.31.255.255"}, []string{"172.15.255.255", "172.32.0.0"}, 12},
		{"RFC 1918", []string{"192.168.0.0", "192.168.255.255"}, []string{"192.167.255.255", "192.169.0.0"}, 16},
		{"CGNAT", []string{"100.64.0.0", "100.127.255.255"}, []string{"100.63.255.255", "100.128.0.0"}, 10},
		{"loopback", []string{"127.0.0.1", "127.255.255.254"}, []string{"126.255.255.255", "128.0.0.0"}, 8},
		{"link local", []string{"169.254.0.0", "169.254.255.255"}, []string{"169.253.255.255", "169.255.0.0"}, 16},
		{"IETF", []string{"192.0.0.11", "192.0.0.255"}, []string{"192.0.1.0", "192.0.0.9", "192.0.0.10"}, 24},
		{"IETF", []string{"192.0.0.170", "192.0.0.171", "192.0.0.8"}, nil, 32},
		{"TEST-NET-1", []string{"192.0.2.0", "192.0.2.255"}, []string{"192.0.3.0"}, 24},
		{"TEST-NET-2", []string{"198.51.100.0", "198.51.100.255"}, []string{"198.51.99.255", "198.51.101.0"}, 24},
		{"TEST-NET-3", []string{"203.0.113.0", "203.0.113.255"}, []string{"203.0.112.255", "203.0.114.0"}, 24},
		{"benchmarking", []string{"198.18.0.0", "198.19.255.255"}, []string{"198.17.255.255", "198.20.0.0"}, 15},
		{"6to4 relay", []string{"192.88.99.1"}, []string{"192.88.98.255", "192.88.100.0"}, 24},
		{"multicast", []string{"224.0.0.1", "239.255.255.250"}, []string{"223.255.255.255"}, 4},
		{"reserved", []string{"240.0.0.1", "255.255.255.254"}, nil, 4},
		{"broadcast", []string{"255.255.255.255"}, nil, 32},
		{"AS112, AMT", nil, []string{"192.31.196.1", "192.52.193.1", "192.175.48.1", "8.8.8.8"}, 0},
		{"metadata", []string{"169.254.169.254", "100.100.100.200", "168.63.129.16", "169.254.170.2"}, []string{"168.63.129.17"}, 32},

		{"loopback, unspecified", []string{"::1", "::"}, nil, 128},
		{"IPv4-compatible", []string{"::127.0.0.1", "::808:808"}, nil, 96},
		{"IPv4-translated", []string{"::ffff:0:808:808"}, nil, 96},
		{"NAT64", []string{"64:ff9b::a00:1"}, []string{"64:ff9b::808:808"}, 104},
		{"NAT64", []string{"64:ff9b::a9fe:a9fe"}, nil, 128},
		{"local NAT64", []string{"64:ff9b:1::808:808", "64:ff9b:1:ffff::1"}, nil, 48},
		{"outside global unicast", []string{"64:ff9b:2::1", "64:ff9a::1", "1::1", "4000::1", "e000::1", "fe00::1"}, nil, 128},
		{"discard", []string{"100::1"}, nil, 64},
		{"dummy", []string{"100:0:0:1::"}, nil, 64},
		{"IETF", []string{"2001:100::1", "2001:1::4"}, []string{"2001:200::1", "2001:1::1", "2001:1::2", "2001:1::3"}, 23},
		{"Teredo", []string{"2001:0:4136:e378:8000:63bf:3fff:fdd2"}, nil, 32},
		{"benchmarking", []string{"2001:2::1"}, nil, 48},
		{"ORCHID", []string{"2001:10::1", "2001:1f:ffff::1"}, []string{"2001:20::1", "2001:30::1", "2001:3::1", "2001:4:112::1"}, 28},
		{"documentation", []string{"2001:db8::", "2001:db8:ffff::1"}, []string{"2001:db7::1", "2001:db9::1"}, 32},
		{"documentation", []string{"3fff::1", "3fff:fff::1"}, []string{"3fff:1000::1"}, 20},
		{"6to4", []string{"2002:808:808::1", "2002:7f00:1::"}, []string{"2003::1"}, 16},
		{"SRv6", []string{"5f00::1"}, nil, 16},
		{"unique local", []string{"fc00::1", "fd12::1"}, nil, 7},
		{"link local", []string{"fe80::1", "febf:ffff::1"}, nil, 10},
		{"site local", []string{"fec0::1", "feff::1"}, nil, 10},
		{"multicast", []string{"ff02::1"}, nil, 8},
		{"metadata", []string{"fd00:ec2::254", "fd20:ce::254"}, []string{"2620:4f:8000::1", "2606:4700::1111"}, 128},
	}
	for _, test := range tests {
		for _, a := range test.special {
			if bits, special := guardBits(netip.MustParseAddr(a)); !special || bits != test.wantBitsOfHead {
				t.Errorf("%s: guardBits(%s) = %d, %v, want %d, true", test.id, a, bits, special, test.wantBitsOfHead)
			}
		}
		for _, a := range test.public {
			if _, special := guardBits(netip.MustParseAddr(a)); special {
				t.Errorf("%s: guardBits(%s) says special, want public", test.id, a)
			}
		}
	}
}

// TestEmbedded: which IPv4 addresses a deny pattern finds inside.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	ten := netip.MustParseAddr("10.1.2.3")
	tests := []struct {
		addr string
		want bool
	}{
		{"64:ff9b::a01:203", true},
		{"64:ff9b:1::a01:203", true},
		{"64:ff9b:1:a01:2:300::", true}, // the /48 form of RFC 6052 section 2.2
		{"::a01:203", true},
		{"::ffff:0:a01:203", true},
		{"2002:a01:203::1", true},
		{"2001:0:a01:203::1", true},                    // Teredo server
		{"2001:0:4136:e378:8000:63bf:f5fe:fdfc", true}, // Teredo client
		{"2001:db8::a01:203", false},
		{"10.1.2.3", false},
	}
	for _, test := range tests {
		inner := embedded(netip.MustParseAddr(test.addr))
		if got := inner[0] == ten || inner[1] == ten; got != test.want {
			t.Errorf("embedded(%s) = %v, want %s in it: %v", test.addr, inner, ten, test.want)
		}
	}
}
