// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

// literal is one address as a client may spell it.
type literal struct {
	group, name, host string
	status            []int
	cases             []string
}

func literals() []literal {
	return []literal{
		{"ADDR-001", "of-allowed-name", "93.184.215.14", forbidden, []string{"IP-01"}},
		{"ADDR-001", "of-allowed-name-v6", "[2606:2800:21f::14]", forbidden, []string{"IP-01"}},
		{"ADDR-001", "public", "45.33.32.156", forbidden, nil},

		{"ADDR-002", "loopback", "127.0.0.1", forbidden, []string{"IP-02"}},
		{"ADDR-002", "loopback-2", "127.0.0.2", forbidden, []string{"IP-02"}},
		{"ADDR-002", "loopback-last", "127.255.255.254", forbidden, []string{"IP-02"}},
		{"ADDR-002", "private-10", "10.1.2.3", forbidden, []string{"IP-21"}},
		{"ADDR-002", "private-172", "172.16.0.1", forbidden, []string{"IP-21"}},
		{"ADDR-002", "private-172-last", "172.31.255.254", forbidden, []string{"IP-21"}},
		{"ADDR-002", "private-192", "192.168.1.1", forbidden, []string{"IP-21"}},
		{"ADDR-002", "metadata", "169.254.169.254", forbidden, []string{"IP-19"}},
		{"ADDR-002", "link-local", "169.254.0.1", forbidden, []string{"IP-18"}},
		{"ADDR-002", "metadata-cgnat", "100.100.100.200", forbidden, []string{"IP-19"}},
		{"ADDR-002", "cgnat", "100.64.0.1", forbidden, []string{"IP-20"}},
		{"ADDR-002", "unspecified", "0.0.0.0", forbidden, []string{"IP-07"}},
		{"ADDR-002", "this-network", "0.0.0.1", forbidden, []string{"IP-24"}},
		{"ADDR-002", "multicast", "224.0.0.1", forbidden, []string{"IP-23"}},
		{"ADDR-002", "ssdp", "239.255.255.250", forbidden, []string{"IP-23"}},
		{"ADDR-002", "broadcast", "255.255.255.255", forbidden, []string{"IP-23"}},
		{"ADDR-002", "reserved", "240.0.0.1", forbidden, []string{"IP-24"}},
		{"ADDR-002", "protocol", "192.0.0.1", forbidden, []string{"IP-24"}},
		{"ADDR-002", "test-net-1", "192.0.2.1", forbidden, []string{"IP-24"}},
		{"ADDR-002", "test-net-2", "198.51.100.1", forbidden, []string{"IP-24"}},
		{"ADDR-002", "test-net-3", "203.0.113.1", forbidden, []string{"IP-24"}},
		{"ADDR-002", "benchmark", "198.18.0.1", forbidden, []string{"IP-24"}},

		{"ADDR-003", "short", "127.1", forbidden, []string{"IP-03"}},
		{"ADDR-003", "short-3", "127.0.1", forbidden, []string{"IP-03"}},
		{"ADDR-003", "decimal", "2130706433", forbidden, []string{"IP-04"}},
		{"ADDR-003", "decimal-metadata", "2852039166", forbidden, []string{"IP-04"}},
		{"ADDR-003", "hex", "0x7f000001", forbidden, []string{"IP-05"}},
		{"ADDR-003", "hex-dotted", "0x7f.0.0.1", forbidden, []string{"IP-05"}},
		{"ADDR-003", "hex-upper", "0X7F.1", forbidden, []string{"IP-05"}},
		{"ADDR-003", "octal", "0177.0.0.1", forbidden, []string{"IP-06"}},
		{"ADDR-003", "octal-whole", "017700000001", forbidden, []string{"IP-06"}},
		{"ADDR-003", "octal-lookalike", "0127.0.0.1", forbidden, []string{"IP-06"}},
		{"ADDR-003", "zero", "0", forbidden, []string{"IP-07"}},
		{"ADDR-003", "zero-short", "0.1", forbidden, []string{"IP-07"}},
		{"ADDR-003", "dot-behind", "127.0.0.1.", either, []string{"IP-28"}},

		{"ADDR-004", "loopback", "[::1]", forbidden, []string{"IP-10"}},
		{"ADDR-004", "loopback-long", "[0:0:0:0:0:0:0:1]", forbidden, []string{"IP-10"}},
		{"ADDR-004", "loopback-zeros", "[::0001]", forbidden, []string{"IP-10"}},
		{"ADDR-004", "unspecified", "[::]", forbidden, []string{"IP-11"}},
		{"ADDR-004", "link-local", "[fe80::1]", forbidden, []string{"IP-18"}},
		{"ADDR-004", "unique-local", "[fd12:3456::1]", forbidden, []string{"IP-22"}},
		{"ADDR-004", "unique-local-fc", "[fc00::1]", forbidden, []string{"IP-22"}},
		{"ADDR-004", "site-local", "[fec0::1]", forbidden, []string{"IP-22"}},
		{"ADDR-004", "metadata", "[fd00:ec2::254]", forbidden, []string{"IP-19"}},
		{"ADDR-004", "multicast", "[ff02::1]", forbidden, []string{"IP-23"}},
		{"ADDR-004", "documentation", "[2001:db8::1]", forbidden, []string{"IP-24"}},
		{"ADDR-004", "discard", "[100::1]", forbidden, []string{"IP-24"}},

		{"ADDR-005", "mapped", "[::ffff:127.0.0.1]", forbidden, []string{"IP-12"}},
		{"ADDR-005", "mapped-hex", "[::ffff:7f00:1]", forbidden, []string{"IP-12"}},
		{"ADDR-005", "mapped-metadata", "[::ffff:169.254.169.254]", forbidden, []string{"IP-12"}},
		{"ADDR-005", "compatible", "[::127.0.0.1]", forbidden, []string{"IP-13"}},
		{"ADDR-005", "compatible-metadata", "[::a9fe:a9fe]", forbidden, []string{"IP-13"}},
		{"ADDR-005", "nat64", "[64:ff9b::7f00:1]", forbidden, []string{"IP-14"}},
		{"ADDR-005", "nat64-metadata", "[64:ff9b::a9fe:a9fe]", forbidden, []string{"IP-14"}},
		{"ADDR-005", "nat64-local", "[64:ff9b:1::7f00:1]", forbidden, []string{"IP-14"}},
		{"ADDR-005", "6to4", "[2002:7f00:1::]", forbidden, []string{"IP-15"}},
		{"ADDR-005", "teredo", "[2001:0:7f00:1::1]", forbidden, []string{"IP-16"}},

		{"ADDR-006", "zone", "[fe80::1%lo]", either, []string{"IP-17"}},
		{"ADDR-006", "zone-encoded", "[fe80::1%25lo]", either, []string{"IP-17"}},
		{"ADDR-006", "zone-as-name", "[::1%25.allowed.example.com]", either, []string{"IP-17"}},

		{"ADDR-007", "octet-256", "127.0.0.256", either, []string{"IP-08"}},
		{"ADDR-007", "overflow", "4294967297", either, []string{"IP-08"}},
		{"ADDR-007", "five-parts", "1.2.3.4.5", either, []string{"IP-08", "IP-31"}},
		{"ADDR-007", "hex-label", "foo.0x7f", either, []string{"IP-31"}},
		{"ADDR-007", "two-dots", "127.0.0.1..", either, []string{"HM-05"}},
		{"ADDR-007", "circled", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", either, []string{"IP-29"}},
		{"ADDR-007", "full-width", "\uff11\uff12\uff17.\uff10.\uff10.\uff11", either, []string{"IP-29"}},

		{"ADDR-008", "localhost", "localhost", forbidden, []string{"HM-06"}},
		{"ADDR-008", "localhost-upper", "LOCALHOST", forbidden, []string{"HM-06"}},
		{"ADDR-008", "localhost-dot", "localhost.", forbidden, []string{"HM-06"}},
		{"ADDR-008", "below-localhost", "foo.localhost", forbidden, []string{"HM-06"}},
	}
}

// addressVectors puts every literal under the core policy and, as ADDR-009, under the policy that admits
// every name: that must not admit one more address.
func addressVectors() []Vector {
	var core, every []Vector
	for _, l := range literals() {
		v := denied(l.group, "core", l.name, l.host+":443", l.status, l.cases...)
		core = append(core, v)
		w := v
		w.Group, w.Name, w.Policy = "ADDR-009", l.group+"-"+l.name, "any"
		w.Cases = append([]string{"IP-09"}, w.Cases...)
		every = append(every, w)
	}
	return append(core, every...)
}

func resolvedVectors() []Vector {
	var out []Vector
	for _, n := range specialNames() {
		out = append(out, resolved("ADDR-010", "core", n.Host[:len(n.Host)-len(".example.com")], n.Host+":443",
			"RB-01", "RB-02", "RB-03", "RB-04"))
	}
	return append(out,
		resolved("ADDR-011", "core", "public-first", "mixed4.example.com:443", "RB-05"),
		resolved("ADDR-011", "core", "second-family", "mixed6.example.com:443", "RB-05"),
		resolved("ADDR-013", "core", "alias", "alias.example.com:443", "RB-11"),
		resolved("ADDR-013", "core", "alias-localhost", "localalias.example.com:443", "RB-11"),
		allowed("ADDR-015", "core", "only-v6", "six.example.com:443"),
	)
}
