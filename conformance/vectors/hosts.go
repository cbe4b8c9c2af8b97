// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import "strings"

func hostVectors() []Vector {
	return append(wellFormedHosts(), malformedHosts()...)
}

func wellFormedHosts() []Vector {
	const p = "core"
	return []Vector{
		allowed("HOST-001", p, "exact", "allowed.example.com:443"),
		allowed("HOST-001", p, "upper", "ALLOWED.EXAMPLE.COM:443", "HM-01"),
		allowed("HOST-001", p, "mixed", "Allowed.eXample.Com:443", "HM-01"),
		allowed("HOST-002", "mixed", "rule-upper", "allowed.example.com:443", "HM-02"),

		denied("HOST-003", p, "evil-before", "evilallowed.example.com:443", forbidden, "HM-07"),
		denied("HOST-003", p, "letter-before", "xallowed.example.com:443", forbidden, "HM-07"),
		denied("HOST-003", p, "letter-missing", "llowed.example.com:443", forbidden, "HM-07"),

		denied("HOST-004", p, "label-behind", "allowed.example.com.evil.example.net:443", forbidden, "HM-08"),
		denied("HOST-004", p, "text-behind", "allowed.example.comevil.example.net:443", forbidden, "HM-08"),

		denied("HOST-005", p, "label-below", "sub.allowed.example.com:443", forbidden, "HM-09"),
		denied("HOST-005", p, "parent", "example.com:443", forbidden),
		denied("HOST-005", p, "top", "com:443", forbidden),
		denied("HOST-005", p, "first-label", "allowed:443", forbidden, "HM-33"),
		denied("HOST-005", p, "single-label", "metadata:443", forbidden, "HM-33"),

		allowed("HOST-006", p, "one-dot", "allowed.example.com.:443", "HM-03"),
		denied("HOST-006", p, "one-dot-denied", "denied.example.net.:443", forbidden, "HM-04"),
		denied("HOST-006", p, "two-dots", "allowed.example.com..:443", malformed, "HM-05"),

		allowed("HOST-016", p, "underscore", "my_svc.example.com:443", "HM-32"),

		denied("HOST-015", p, "cyrillic-puny", "xn--llowed-2nf.example.com:443", forbidden, "HM-24"),
		denied("HOST-015", p, "cyrillic", "\u0430llowed.example.com:443", either, "HM-24"),
		denied("HOST-015", p, "soft-hyphen", "allo\u00adwed.example.com:443", malformed, "HM-28"),
		denied("HOST-015", p, "zero-width", "allowed\u200d.example.com:443", malformed, "HM-28"),
		denied("HOST-015", p, "byte-order-mark", "\ufeffallowed.example.com:443", malformed, "HM-28"),
		denied("HOST-015", p, "right-to-left", "\u202eallowed.example.com:443", malformed, "HM-28"),
		denied("HOST-015", p, "bad-utf8", "allowed\xff.example.com:443", malformed, "HM-29"),
		denied("HOST-015", p, "overlong-utf8", "allowed\xc0\xae.example.com:443", malformed, "HM-29"),
		denied("HOST-015", p, "empty-punycode", "xn--.example.com:443", either, "HM-26"),

		denied("HOST-019", p, "denied-target", "denied.example.net:443", forbidden, "HP-05").withHost("allowed.example.com:443"),
		denied("HOST-019", p, "path", "/", either, "HP-05").withHost("allowed.example.com:443"),
		denied("HOST-019", p, "star", "*", either, "HP-05").withHost("allowed.example.com:443"),
	}
}

func (v Vector) withHost(host string) Vector {
	v.Host = host
	return v
}

func malformedHosts() []Vector {
	bad := func(group, name, target string, cases ...string) Vector {
		return denied(group, "core", name, target, malformed, cases...)
	}
	return []Vector{
		bad("HOST-007", "user", "allowed.example.com@evil.example.net:443", "HM-17"),
		bad("HOST-007", "user-allowed", "evil.example.net@allowed.example.com:443", "HM-17"),
		bad("HOST-007", "user-port", "allowed.example.com:443@evil.example.net:443", "HM-17"),
		bad("HOST-007", "user-password", "a:b@allowed.example.com:443", "HM-17"),

		bad("HOST-008", "nul", "evil.example.net\x00.allowed.example.com:443", "HM-14"),
		bad("HOST-008", "nul-behind", "allowed.example.com\x00.evil.example.net:443", "HM-14"),
		bad("HOST-008", "tab", "allowed.example.com\t:443", "HM-15"),
		bad("HOST-008", "control", "allowed\x01.example.com:443", "HM-15"),
		bad("HOST-008", "delete", "allowed\x7f.example.com:443", "HM-15"),
		bad("HOST-008", "carriage-return", "allowed.example.com\r:443", "HM-15"),
		bad("HOST-008", "space", "allowed.example.com :443", "HM-38"),

		bad("HOST-009", "letter", "%61llowed.example.com:443", "HM-16"),
		bad("HOST-009", "dot", "evil.example.net%2eallowed.example.com:443", "HM-16"),
		bad("HOST-009", "nul", "evil.example.net%00.allowed.example.com:443", "HM-16"),
		bad("HOST-009", "newline", "allowed.example.com%0a:443", "HM-16"),

		bad("HOST-010", "name", "[allowed.example.com]:443", "HM-19"),
		bad("HOST-010", "double", "[[allowed.example.com]]:443", "HM-19"),
		bad("HOST-010", "unclosed", "[::1:443", "HM-20"),
		bad("HOST-010", "unopened", "::1]:443", "HM-20"),
		bad("HOST-010", "empty", "[]:443", "HM-20"),
		bad("HOST-010", "only-open", "[:443", "HM-20"),
		bad("HOST-010", "text-behind", "[::1]x:443", "HM-20"),
		bad("HOST-010", "unbracketed-v6", "::1:443", "IP-25"),

		bad("HOST-011", "slash", "evil.example.net/.allowed.example.com:443", "HM-21"),
		bad("HOST-011", "backslash", `evil.example.net\.allowed.example.com:443`, "HM-21"),
		bad("HOST-011", "hash", "evil.example.net#.allowed.example.com:443", "HM-21"),
		bad("HOST-011", "question", "evil.example.net?x=.allowed.example.com:443", "HM-21"),
		bad("HOST-011", "url", "https://allowed.example.com:443", "HP-13"),
		bad("HOST-011", "path", "allowed.example.com:443/path", "HP-13"),
		bad("HOST-011", "slashes", "//allowed.example.com:443", "HP-13"),

		bad("HOST-012", "two-ports", "allowed.example.com:80:443", "HM-22"),
		bad("HOST-012", "two-hosts", "evil.example.net:443:allowed.example.com:443", "HM-22"),
		bad("HOST-012", "two-hosts-turned", "allowed.example.com:443:evil.example.net:443", "HM-22"),

		bad("HOST-013", "host", ":443", "HM-30"),
		bad("HOST-013", "first-label", ".allowed.example.com:443", "HM-11"),
		bad("HOST-013", "inner-label", "allowed..example.com:443", "HM-12"),
		bad("HOST-013", "star", "*:443", "HM-13"),
		bad("HOST-013", "star-label", "*.example.com:443", "HM-13"),

		denied("HOST-014", "core", "label-64", strings.Repeat("a", 64)+".example.com:443", oversized, "HM-31"),
		denied("HOST-014", "core", "name-254", "aa."+strings.Repeat("a.", 120)+"example.com:443", oversized, "HM-31"),
		denied("HOST-014", "core", "name-2000", strings.Repeat("a.", 1000)+"allowed.example.com:443", oversized, "HM-31"),
	}
}
