// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import "strings"

func portVectors() []Vector {
	const host = "allowed.example.com"
	bad := func(name, behind string, cases ...string) Vector {
		return denied("PORT-003", "core", name, host+behind, malformed, cases...)
	}
	return []Vector{
		denied("PORT-002", "core", "ssh", host+":22", forbidden, "PT-01"),
		denied("PORT-002", "core", "smtp", host+":25", forbidden, "PT-01"),
		denied("PORT-002", "core", "alternative", host+":8443", forbidden, "PT-01"),
		denied("PORT-002", "core", "prefix", host+":44", forbidden, "PT-01"),
		denied("PORT-002", "core", "longer", host+":4430", forbidden, "PT-01"),

		bad("none", "", "PT-03"),
		bad("empty", ":", "PT-04"),
		bad("zero", ":0", "PT-05"),
		bad("too-large", ":65536", "PT-06"),
		bad("far-too-large", ":91337", "PT-06"),
		bad("wraps-16", ":65979", "PT-06"),
		bad("wraps-32", ":4294967739", "PT-06"),
		bad("negative", ":-1", "PT-07"),
		bad("negative-443", ":-443", "PT-07"),
		bad("plus", ":+443", "PT-08"),
		bad("space-before", ": 443", "PT-08"),
		bad("space-inside", ":4 43", "PT-08"),
		bad("hex", ":0x1bb", "PT-08"),
		bad("decimal-point", ":443.0", "PT-08"),
		bad("exponent", ":443e0", "PT-08"),
		bad("underscore", ":4_43", "PT-08"),
		bad("leading-zero", ":0443", "PT-09"),
		bad("leading-zeros", ":00443", "PT-09"),
		bad("service", ":https", "PT-10"),
		bad("slash", ":443/", "PT-11"),
		bad("hash", ":443#", "PT-11"),
		bad("semicolon", ":443;22", "PT-11"),
		bad("comma", ":443,22", "PT-11"),
		bad("at", ":443@x", "PT-11"),
		bad("letters", ":443abc", "PT-11"),
		bad("full-width", ":\uff14\uff14\uff13", "PT-12"),
		denied("PORT-003", "core", "endless", host+":"+strings.Repeat("4", 4000), oversized, "PT-13"),
	}
}

// featureVectors need a policy feature; a backend that does not claim it is not asked them.
func featureVectors() []Vector {
	return []Vector{
		allowed("HOST-017", "wild", "one-label", "a.wild.example.com:443"),
		allowed("HOST-017", "wild", "case", "A.WILD.example.com:443"),
		denied("HOST-017", "wild", "apex", "wild.example.com:443", forbidden, "HM-09"),
		denied("HOST-017", "wild", "two-labels", "b.a.wild.example.com:443", forbidden, "HM-10"),
		denied("HOST-017", "wild", "no-dot", "evilwild.example.com:443", forbidden, "HM-07"),
		denied("HOST-017", "wild", "empty-label", ".wild.example.com:443", malformed, "HM-11"),
		denied("HOST-017", "wild", "star", "*.wild.example.com:443", malformed, "HM-13"),
		denied("HOST-017", "wild", "other-port", "a.wild.example.com:22", forbidden, "PT-14"),

		allowed("HOST-018", "deep", "one-label", "a.deep.example.com:443"),
		allowed("HOST-018", "deep", "two-labels", "b.a.deep.example.com:443"),
		denied("HOST-018", "deep", "apex", "deep.example.com:443", forbidden, "HM-09"),
		denied("HOST-018", "deep", "empty-label", "b..deep.example.com:443", malformed, "HM-12"),

		allowed("PORT-004", "ports", "listed", "second.example.org:8443", "PT-14"),
		denied("PORT-004", "ports", "default-gone", "second.example.org:443", forbidden, "PT-14"),
		denied("PORT-004", "ports", "not-for-others", "allowed.example.com:8443", forbidden, "PT-14"),
		allowed("PORT-004", "ports", "in-range", "range.example.com:8443"),
		denied("PORT-004", "ports", "below-range", "range.example.com:8439", forbidden),
		denied("PORT-004", "ports", "above-range", "range.example.com:8451", forbidden),
		allowed("PORT-004", "ports", "every", "every.example.com:22"),

		allowed("ADDR-014", "addresses", "literal", "93.184.215.20:443", "IP-26"),
		allowed("ADDR-014", "addresses", "literal-v6", "[2606:2800:21f:0::20]:8443", "IP-27"),
		allowed("ADDR-014", "addresses", "loopback", "127.0.0.1:8443", "IP-26"),
		allowed("ADDR-014", "addresses", "range", "10.1.2.3:443"),
		allowed("ADDR-014", "addresses", "resolved", "private.example.com:443", "RB-15"),
		denied("ADDR-014", "addresses", "other-port", "127.0.0.1:22", forbidden, "IP-26"),
		denied("ADDR-014", "addresses", "other-address", "127.0.0.2:8443", forbidden, "IP-26"),
		denied("ADDR-014", "addresses", "other-port-v6", "[2606:2800:21f::20]:443", forbidden),
		denied("ADDR-014", "addresses", "outside-range", "10.2.2.3:443", forbidden),
		resolved("ADDR-014", "addresses", "resolved-other-port", "loopback.example.com:443", "RB-15"),

		allowed("DENY-008", "deny", "control", "allowed.example.com:443"),
		denied("DENY-008", "deny", "deny-wins", "second.example.org:443", forbidden, "HM-34"),
		denied("DENY-008", "deny", "trailing-dot", "second.example.org.:443", forbidden, "HM-04"),
		denied("DENY-008", "deny", "case", "SECOND.example.ORG:443", forbidden, "HM-34"),
		denied("DENY-008", "deny", "port", "range.example.com:443", forbidden, "HM-35"),

		allowed("HOST-020", "any", "any", "second.example.org:443"),
		resolved("HOST-020", "any", "resolves-private", "private.example.com:443", "RB-01"),
	}
}
