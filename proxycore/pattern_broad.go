// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"strconv"
)

// Prefixes shorter than these are no network of anyone's but a part of the
// Internet: no single holder has one.
const (
	broadBits4 = 8
	broadBits6 = 16
)

// broadWarning says what an allow pattern admits that admits most of the
// Internet, "" for any other pattern. Some people do mean it.
func (p *pattern) broadWarning() string {
	switch {
	case p.kind == kindDeep && p.key == "":
		return p.admitsEvery() + "name on " + p.portsInWords() + ": anyone can get one; write out the names you need"
	case p.kind == kindAddr && broad(p.prefix):
		return p.admitsEvery() + "public address of " + p.prefix.String() + " on " + p.portsInWords() +
			": anyone can get one; write out the addresses you need"
	}
	return ""
}

// admitsEvery begins the sentence.
func (p *pattern) admitsEvery() string { return "pattern " + quote(p.text) + " admits every " }

// broad reports whether p holds a large part of the public addresses. Prefixes
// within one special-purpose block hold none.
func broad(p netip.Prefix) bool {
	if nat64WellKnown.Overlaps(p) {
		// Behind the translator is all of IPv4, or a part of it.
		p = netip.PrefixFrom(low4(p.Addr()), max(0, p.Bits()-nat64Bits))
	}
	if p.Addr().Is6() {
		return p.Bits() < broadBits6 && globalUnicast.Overlaps(p)
	}
	bits, special := guardBits(p.Addr())
	within := special && p.Bits() >= bits
	return p.Bits() < broadBits4 && !within
}

// portsInWords names the ports of a pattern in a sentence.
func (p *pattern) portsInWords() string {
	lo, hi := strconv.Itoa(int(p.portLo)), strconv.Itoa(int(p.portHi))
	switch {
	case p.portLo == web:
		return "ports 443 and 80"
	case p.portLo == 1 && p.portHi == 65535:
		return "every port"
	case lo == hi:
		return "port " + lo
	}
	return "ports " + lo + " to " + hi
}
