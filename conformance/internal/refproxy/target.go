// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// target is where a request wants to go: a name or an address.
type target struct {
	name string
	addr netip.Addr
	port uint16
	open bool // a fault made an address of something else and lets it pass
}

var (
	errMalformed = errors.New("malformed")
	errAddress   = errors.New("an address in a spelling of its own")
)

// parseTarget reads the authority of a CONNECT request.
func parseTarget(text string, f Faults) (target, error) {
	text = mend(text, f)
	host, port, err := split(text, f)
	if err != nil {
		return target{}, err
	}
	t := target{}
	if t.port, err = parsePort(port, f); err != nil {
		return t, err
	}
	if strings.HasPrefix(host, "[") {
		return parseBracketed(t, host, f)
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		t.addr = a
		return t, nil
	}
	name := strings.ToLower(host)
	if f.Has(CaseSensitive) {
		name = host
	}
	if !f.Has(DotKept) {
		name = strings.TrimSuffix(name, ".")
	}
	if f.Has(DotsStripped) {
		name = strings.TrimRight(name, ".")
	}
	if a, ok := aton(name, f); ok {
		if f.Has(AtonDialled) || f.Has(OctetsWrap) {
			t.addr, t.open = a, true
			return t, nil
		}
		return t, errAddress
	}
	plain := strings.ToLower(name)
	if f.Has(DotKept) {
		plain = strings.TrimSuffix(plain, ".")
	}
	if err := checkName(plain, f); err != nil {
		return t, err
	}
	t.name = name
	return t, nil
}

// mend is what a strict parser must not do: each fault makes some malformed text acceptable.
func mend(text string, f Faults) string {
	if f.Has(UserinfoStripped) {
		if i := strings.LastIndexByte(text, '@'); i >= 0 {
			text = text[i+1:]
		}
	}
	if f.Has(PercentDecoded) {
		if d, err := url.PathUnescape(text); err == nil {
			text = strings.TrimRight(d, "\n")
			if i := strings.LastIndexByte(text, 0); i >= 0 {
				text = text[i+1:]
			}
		}
	}
	drop := func(bad func(rune) bool) {
		text = strings.Map(func(r rune) rune {
			if bad(r) {
				return -1
			}
			return r
		}, text)
	}
	if f.Has(ControlsStripped) {
		drop(func(r rune) bool { return r <= ' ' || r == 0x7f })
	}
	if f.Has(UnicodeStripped) {
		drop(func(r rune) bool { return r >= 0x80 })
	}
	if f.Has(BracketsStripped) && !strings.HasPrefix(text, "[::") {
		drop(func(r rune) bool { return r == '[' || r == ']' })
	}
	if f.Has(DelimitersCut) {
		text = strings.TrimPrefix(text, "https:")
		if i := strings.LastIndexAny(strings.TrimSuffix(text, "/path"), `/\#?`); i >= 0 {
			text = strings.TrimSuffix(text, "/path")[i+1:]
			text = strings.TrimLeft(text, ".x=")
		}
		text = strings.TrimSuffix(text, "/path")
	}
	if f.Has(EmptyLabelsSqueezed) {
		text = strings.TrimLeft(strings.ReplaceAll(text, "..", "."), ".")
	}
	if f.Has(LongNamesCut) && len(text) > 250 {
		text = text[len(text)-len("allowed.example.com:443"):]
	}
	if f.Has(OnePortTooMany) {
		if parts := strings.Split(text, ":"); len(parts) > 2 && !strings.HasPrefix(text, "[") {
			text = parts[0] + ":" + parts[len(parts)-1]
		}
	}
	return text
}

// split separates host and port at the last colon; brackets belong to an IPv6 address and nothing else.
func split(text string, f Faults) (host, port string, err error) {
	i := strings.LastIndexByte(text, ':')
	if strings.HasSuffix(text, "]") {
		i = -1
	}
	if i < 0 && f.Has(PortDefaulted) {
		return text, "443", nil
	}
	if i < 0 {
		return "", "", errMalformed
	}
	return text[:i], text[i+1:], nil
}

// parsePort accepts a decimal number between 1 and 65535 in its only spelling.
func parsePort(text string, f Faults) (uint16, error) {
	if f.Has(PortDefaulted) && text == "" {
		return 443, nil
	}
	if f.Has(PortLenient) {
		digits := strings.TrimLeft(strings.TrimSpace(text), "+")
		if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i > 0 {
			digits = digits[:i]
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err == nil {
			return uint16(n), nil
		}
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, errMalformed
	}
	return uint16(n), nil
}

func parseBracketed(t target, host string, f Faults) (target, error) {
	text, closed := strings.CutSuffix(host[1:], "]")
	if f.Has(ZoneStripped) {
		text, _, t.open = strings.Cut(text, "%")
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !closed || !a.Is6() || a.Zone() != "" {
		return t, errMalformed
	}
	t.addr = a
	return t, nil
}

// checkName accepts letters, digits, hyphens and underscores in labels of the lengths DNS knows. A last
// label that is a number could be read as an address by somebody, so it is refused.
func checkName(name string, f Faults) error {
	if name == "" || len(name) > 253 {
		return errMalformed
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return errMalformed
		}
		for _, c := range []byte(l) {
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
			case c == '_' && !f.Has(UnderscoreRefused):
			default:
				return errMalformed
			}
		}
	}
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		return errMalformed
	}
	return nil
}

// aton reads the spellings of an IPv4 address that inet_aton takes and the standard does not.
func aton(text string, f Faults) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var ip uint64
	for i, p := range parts {
		base, digits := 10, p
		switch {
		case strings.HasPrefix(p, "0x"), strings.HasPrefix(p, "0X"):
			base, digits = 16, p[2:]
		case len(p) > 1 && p[0] == '0':
			base = 8
		}
		n, err := strconv.ParseUint(digits, base, 64)
		if err != nil {
			return netip.Addr{}, false
		}
		last := i == len(parts)-1
		bits := 8
		if last {
			bits = 8 * (5 - len(parts))
		}
		if n>>bits != 0 && !f.Has(OctetsWrap) {
			return netip.Addr{}, false
		}
		ip = ip<<bits | n&(1<<bits-1)
	}
	return netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}), true
}
