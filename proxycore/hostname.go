// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	// maxHost is the longest name without a trailing dot, RFC 1035 section 3.1
	// (255 octets on the wire, of which one length octet and the root label).
	maxHost = 253
	// maxLabel is the longest label, RFC 1035 section 3.1.
	maxLabel = 63
	// maxRawHost bounds what is handed to the IDNA code: no 253 octet name has
	// a longer spelling in UTF-8.
	maxRawHost = 1024
	// acePrefix marks an A-label, RFC 5890 section 2.3.2.5.
	acePrefix = "xn--"
)

// hostProfile is UTS #46 lookup processing, non-transitional. Strict STD3 rules
// and hyphen checks are off because shape decides those, for ASCII names and
// others alike: real names have underscores and "--" in the third place.
var hostProfile = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.Transitional(false),
	idna.StrictDomainName(false),
	idna.CheckHyphens(false),
)

// canonicalHost returns the one form in which a name is compared, resolved,
// dialled and logged: lower-case A-labels without the trailing dot. A name in
// that form is returned as it is, without allocation. Names whose last label is
// a number are never returned: some resolver would read them as an address.
func canonicalHost(s string) (string, *TargetError) {
	if hostShape(s) == "" && !numericEnd(s) && !hasALabel(s) {
		return s, nil
	}
	if len(s) > maxRawHost {
		return "", malformed("the host is longer than any hostname")
	}
	ascii, problem := screenHost(s)
	if problem != "" {
		return "", malformed(problem)
	}
	host := asciiLower(s)
	if strings.Contains(host+".", acePrefix+".") {
		return "", malformed("the host has an empty punycode label")
	}
	if !ascii || hasALabel(host) {
		mapped, err := hostProfile.ToASCII(host)
		if err != nil {
			return "", malformed("the host is not a valid internationalised name (IDNA)")
		}
		host = mapped
	}
	host = strings.TrimSuffix(host, ".")
	if problem := hostShape(host); problem != "" {
		return "", malformed(problem)
	}
	if numericEnd(host) {
		if _, ok := legacyIPv4(host); ok {
			return "", &TargetError{Reason: AddressNotAllowed, Problem: "the host is an IPv4 address in a spelling other than four plain decimal numbers"}
		}
		return "", malformed("the host ends in a number but is not an IPv4 address")
	}
	if !validALabels(host) {
		return "", malformed("the host has a malformed punycode label")
	}
	return host, nil
}

// malformed is the error of a target that cannot be read.
func malformed(problem string) *TargetError {
	return &TargetError{Reason: MalformedRequest, Problem: problem}
}

// screenHost looks for what no spelling of a hostname has, before anything is
// mapped: mapping would silently drop some of it. It reports whether s is ASCII.
func screenHost(s string) (ascii bool, problem string) {
	ascii = true
	for i, r := range s {
		switch {
		case r < utf8.RuneSelf:
			if !hostByte(byte(r)) && (r < 'A' || r > 'Z') && r != '.' {
				return ascii, asciiProblem(byte(r))
			}
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			return false, "the host is not valid UTF-8"
		case invisible(r):
			return false, "the host has an invisible character"
		default:
			ascii = false
		}
	}
	return ascii, ""
}

// asciiProblem names the mistake behind a byte that no hostname has.
func asciiProblem(c byte) string {
	switch c {
	case '@':
		return "the host has a user name before it"
	case '[', ']':
		return "brackets are for IPv6 addresses only"
	case '%':
		return "the host has a percent sign; nothing is decoded"
	case '*':
		return "the host has a star; only patterns may"
	case '/', '\\', '?', '#':
		return "the host has a URL delimiter"
	case ' ', '\t':
		return "the host has a blank"
	}
	if c < ' ' || c == 0x7f {
		return "the host has a control character"
	}
	return "the host has a character other than letters, digits, '-', '_' and '.'"
}

// invisible reports characters that change a name without being seen: format
// characters (soft hyphen, joiners, byte order mark, bidi controls), variation
// selectors and fillers.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Cc, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// hostByte reports whether c may stand in a label of a canonical name.
// Underscores are not in RFC 1123, but real services have them.
func hostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// Classes of bytes in a canonical name.
const (
	otherByte = iota
	labelByte
	dotByte
)

// hostBytes has the class of every byte.
var hostBytes = func() (class [256]uint8) {
	for c := range class {
		if hostByte(byte(c)) {
			class[c] = labelByte
		}
	}
	class['.'] = dotByte
	return class
}()

// hostShape returns "" when s has the shape of a canonical name, else what is
// wrong. It does not look into A-labels or at numeric endings. It allocates nothing.
func hostShape(s string) string {
	_, _, problem := scanHost(s)
	return problem
}

// scanHost is hostShape. It also returns how many labels s has, and the last one.
func scanHost(s string) (labels int, last, problem string) {
	if s == "" {
		return 0, "", "the host is empty"
	}
	if len(s) > maxHost {
		return 0, "", "the host is longer than 253 characters"
	}
	start := 0
	for i := range len(s) {
		switch hostBytes[s[i]] {
		case labelByte:
		case dotByte:
			if problem := labelShape(s[start:i]); problem != "" {
				return 0, "", problem
			}
			labels++
			start = i + 1
		default:
			return 0, "", "the host has a character other than letters, digits, '-', '_' and '.'"
		}
	}
	last = s[start:]
	return labels + 1, last, labelShape(last)
}

// labelShape returns what is wrong with the length or the hyphens of a label.
func labelShape(label string) string {
	switch {
	case label == "":
		return "the host has an empty label (two dots in a row, or a dot at the start)"
	case len(label) > maxLabel:
		return "the host has a label longer than 63 characters"
	case label[0] == '-' || label[len(label)-1] == '-':
		return "the host has a label that begins or ends with a hyphen"
	}
	return ""
}

// numericEnd reports whether the last label of s is a number, decimal, octal or
// hexadecimal: what the WHATWG URL standard calls "ends in a number".
func numericEnd(s string) bool { return isNumber(s[strings.LastIndexByte(s, '.')+1:]) }

// isNumber is numericEnd for one label.
func isNumber(label string) bool {
	if label == "" || label[0] < '0' || label[0] > '9' {
		return false
	}
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// legacyIPv4 reads the spellings that inet_aton(3) takes for an IPv4 address:
// one to four decimal, octal or hexadecimal numbers, the last of which fills
// the remaining bytes.
func legacyIPv4(s string) (netip.Addr, bool) {
	var parts [4]uint64
	n := 0
	for part := range strings.SplitSeq(s, ".") {
		if n == len(parts) || part == "" || part[0] < '0' || part[0] > '9' || strings.Contains(part, "_") {
			return netip.Addr{}, false
		}
		base := 10
		if hex, ok := strings.CutPrefix(part, "0x"); ok {
			base, part = 16, "0"+hex
		} else if part[0] == '0' {
			base = 8
		}
		v, err := strconv.ParseUint(part, base, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		parts[n] = v
		n++
	}
	var value uint64
	for i, v := range parts[:n] {
		width := 8
		if i == n-1 {
			width = 8 * (5 - n)
		}
		if v >= 1<<width {
			return netip.Addr{}, false
		}
		value = value<<width | v
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// hasALabel reports whether some label of s claims to be an A-label.
func hasALabel(s string) bool {
	return strings.HasPrefix(s, acePrefix) || strings.Contains(s, "."+acePrefix)
}

// validALabels checks that every A-label of s stands for something that could
// not have been written in ASCII, and hides no invisible character: two
// spellings of one name would be two names to a filter.
func validALabels(s string) bool {
	if !hasALabel(s) {
		return true
	}
	for label := range strings.SplitSeq(s, ".") {
		if !strings.HasPrefix(label, acePrefix) {
			continue
		}
		u, err := idna.Punycode.ToUnicode(label)
		if err != nil || strings.ContainsFunc(u, invisible) {
			return false
		}
		if !strings.ContainsFunc(u, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return false
		}
		if again, err := hostProfile.ToASCII(u); err != nil || again != label {
			return false
		}
	}
	return true
}

// asciiLower lowers A to Z and leaves everything else to IDNA, whose mapping
// differs from Unicode's lower case.
func asciiLower(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' }) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// isLocalhost reports whether host is localhost or below it (RFC 6761 section
// 6.3): such names mean loopback and are never asked from a resolver.
func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// isMetadataName reports the names under which clouds serve instance
// credentials. Only a pattern that is the very name admits one, never a wildcard.
func isMetadataName(host string) bool {
	switch host {
	case "metadata.google.internal", "metadata.goog", "metadata.azure.internal", "instance-data.ec2.internal":
		return true
	}
	return false
}
