// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package presetrules

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// label is one label, as a POSIX extended regular expression.
const label = `[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?`

// NameRegexp returns a POSIX extended regular expression, without anchors, for the
// names that r matches, in lower case. The last dot is left to the caller.
// Of FormAnyName it has those that end in a number too, which [Number] tells from
// names. Addresses are not names: it is "" for FormAddresses.
func NameRegexp(r Rule) string {
	host := Quote(r.Host)
	switch r.Form {
	case proxycore.FormName:
		return host
	case proxycore.FormOneBelow:
		return label + `\.` + host
	case proxycore.FormBelow:
		return "(" + label + `\.)+` + host
	case proxycore.FormAnyName:
		return "(" + label + `\.)*` + label
	}
	return ""
}

// Number is a regular expression, without anchors, for what ends in a number,
// decimal or hexadecimal: no name, but to some resolver an address.
const Number = `([a-z0-9_.-]*\.)?([0-9]+|0x[0-9a-f]*)`

// Quote makes a regular expression of a host, in which only dots have a meaning.
func Quote(host string) string { return strings.ReplaceAll(host, ".", `\.`) }

// anyPort matches 1 to 65535 in its only spelling.
const anyPort = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"

// PortRegexps returns POSIX extended regular expressions for ports in their only
// spelling, one or more for each, or false when there would be more than most.
func PortRegexps(ports []proxycore.PortRange, most int) ([]string, bool) {
	var list []string
	for _, p := range ports {
		if p.First == 1 && p.Last == 65535 {
			return []string{anyPort}, true
		}
		for n := int(p.First); n <= int(p.Last); n++ {
			if len(list) == most {
				return nil, false
			}
			list = append(list, strconv.Itoa(n))
		}
	}
	return list, true
}

// octet matches 0 to 255 in its only decimal spelling.
const octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

// AddressRegexp returns a POSIX extended regular expression for the addresses of
// an IPv4 prefix in the usual spelling.
func AddressRegexp(p netip.Prefix) string {
	raw := p.Masked().Addr().As4()
	parts := make([]string, 4)
	for i := range parts {
		switch free := 8*(i+1) - p.Bits(); {
		case free <= 0:
			parts[i] = strconv.Itoa(int(raw[i]))
		case free >= 8:
			parts[i] = octet
		default:
			parts[i] = octets(int(raw[i]), int(raw[i])+1<<free-1)
		}
	}
	return strings.Join(parts, `\.`)
}

// octets matches the numbers from first to last, which are of one to three digits.
func octets(first, last int) string {
	var alternatives []string
	for first <= last {
		end := min(last, first-first%10+9)
		tens := ""
		if first >= 10 {
			tens = strconv.Itoa(first / 10)
		}
		alternatives = append(alternatives, fmt.Sprintf("%s[%d-%d]", tens, first%10, end%10))
		first = end + 1
	}
	return "(" + strings.Join(alternatives, "|") + ")"
}

// Within reports whether r, a wildcard or "*", matches the one name host.
func Within(r Rule, host string) bool {
	below, ok := strings.CutSuffix(host, "."+r.Host)
	switch r.Form {
	case proxycore.FormAnyName:
		return true
	case proxycore.FormBelow:
		return ok
	case proxycore.FormOneBelow:
		return ok && !strings.Contains(below, ".")
	}
	return r.Form == proxycore.FormName && r.Host == host
}

// PortText returns one range as "443" or "8000-8100".
func PortText(p proxycore.PortRange) string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}
