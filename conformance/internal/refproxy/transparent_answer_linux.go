// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strings"
)

// Codes and types of RFC 1035, 3596 and 6891.
const (
	noError, formErr, servFail, nxDomain, notImp, refused = 0, 1, 2, 3, 4, 5

	typeA, typeAAAA, typeOPT, typeANY = 1, 28, 41, 255
)

// question is what a query asks.
type question struct {
	name       string // lower case, without the dot at the end
	kind       uint16
	raw        []byte // the section
	edns       bool
	id, flags  uint16
	incomplete bool // there is an id, and no more that could be read
}

var errQuery = errors.New("refproxy: not a query")

// readQuery reads one; an error says that it is not to be answered at all.
func readQuery(b []byte, responses bool) (question, error) {
	if len(b) < 12 || b[2]&0x80 != 0 && !responses {
		return question{}, errQuery // a response may not be answered, or two servers would go on for ever
	}
	q := question{id: binary.BigEndian.Uint16(b), flags: binary.BigEndian.Uint16(b[2:]), incomplete: true}
	count := func(i int) int { return int(binary.BigEndian.Uint16(b[i:])) }
	if count(4) != 1 {
		return q, nil
	}
	var labels []string
	at := 12
	for ; at < len(b) && b[at] != 0; at += 1 + int(b[at]) {
		end := at + 1 + int(b[at])
		if b[at] > 63 || end > len(b) {
			return q, nil
		}
		if strings.Contains(string(b[at+1:end]), ".") {
			return q, nil // a dot inside a label would make another name of it
		}
		labels = append(labels, strings.ToLower(string(b[at+1:end])))
	}
	if at+5 > len(b) || at-12 > 254 {
		return q, nil
	}
	q.name, q.kind, q.raw = strings.Join(labels, "."), binary.BigEndian.Uint16(b[at+1:]), b[12:at+5]
	at += 5
	for range count(6) + count(8) + count(10) {
		for at < len(b) && b[at] != 0 && b[at] < 0xc0 {
			at += 1 + int(b[at])
		}
		if at < len(b) && b[at] >= 0xc0 {
			at++
		}
		if at += 1; at+10 > len(b) {
			return q, nil
		}
		q.edns = q.edns || binary.BigEndian.Uint16(b[at:]) == typeOPT
		if at += 10 + int(binary.BigEndian.Uint16(b[at+8:])); at > len(b) {
			return q, nil
		}
	}
	q.incomplete = false
	return q, nil
}

// reply is the answer to q; blocked adds the extended error of RFC 8914.
func (c *capture) reply(q question, code int, blocked bool, addrs ...netip.Addr) []byte {
	f := c.s.Faults
	edns := q.edns && !f.Has(EDNSIgnored)
	head := []uint16{q.id, 0x8080 | q.flags&0x7900 | uint16(code), 1, uint16(len(addrs)), 0, 0}
	if q.incomplete {
		head[2], q.raw = 0, nil
	}
	if edns {
		head[5] = 1
	}
	var b []byte
	for _, v := range head {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	if f.Has(CaseFolded) {
		b = append(b, strings.ToLower(string(q.raw))...)
	} else {
		b = append(b, q.raw...)
	}
	for _, a := range addrs {
		b = append(b, 0xc0, 12)
		b = binary.BigEndian.AppendUint16(b, q.kind)
		b = append(b, 0, 1, 0, 0, 0, 60)
		b = binary.BigEndian.AppendUint16(b, uint16(a.BitLen()/8))
		b = append(b, a.AsSlice()...)
	}
	if edns {
		b = append(b, 0, 0, typeOPT, 0x04, 0xd0, 0, 0, 0, 0)
		if blocked && !f.Has(ReasonsUnsaid) {
			return append(b, 0, 6, 0, 15, 0, 2, 0, 15)
		}
		b = append(b, 0, 0)
	}
	return b
}

// answer answers one message; nil is no answer.
func (c *capture) answer(b []byte) []byte {
	f := c.s.Faults
	q, err := readQuery(b, f.Has(ResponsesAnswered))
	bad := err != nil || q.incomplete
	switch {
	case bad && f.Has(DiesOfMalformed):
		os.Exit(125)
	case bad && f.Has(MalformedForwarded):
		go c.forward(b) // for which nobody has to wait: most get no answer
		return nil
	case err != nil:
		return nil
	case q.incomplete:
		return c.reply(q, formErr, false)
	case q.flags&0x7800 != 0:
		return c.reply(q, notImp, false)
	case f.Has(TypesForwarded) && q.kind != typeA && q.kind != typeAAAA:
		return c.forward(b)
	case isLocalhost(q.name) && !f.Has(LocalhostUnknown):
		return c.reply(q, noError, false, only(q.kind, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback())...)
	case !c.admits(q.name) && f.Has(NamesForwarded):
		return c.forward(b)
	case !c.admits(q.name) && f.Has(NamesRefused):
		return c.reply(q, refused, true)
	case !c.admits(q.name) && !f.Has(NamesAllAnswered):
		return c.reply(q, nxDomain, true)
	}
	if f.Has(ResolvesAtLookup) {
		c.forward(b)
	}
	return c.addresses(q)
}

// addresses answers a query for an admitted name.
func (c *capture) addresses(q question) []byte {
	if q.kind != typeA && q.kind != typeAAAA {
		if c.s.Faults.Has(TypesNotFound) {
			return c.reply(q, nxDomain, false)
		}
		return c.reply(q, noError, false)
	}
	a4, a6, ok := c.pool.give(q.name)
	if !ok {
		return c.reply(q, servFail, false)
	}
	if c.s.Faults.Has(CaptureIPv4Only) {
		a6 = netip.Addr{}
	}
	return c.reply(q, noError, false, only(q.kind, a4, a6)...)
}

// only is the address of the family that is asked for.
func only(kind uint16, a4, a6 netip.Addr) []netip.Addr {
	switch {
	case kind == typeA:
		return []netip.Addr{a4}
	case kind == typeAAAA && a6.IsValid():
		return []netip.Addr{a6}
	}
	return nil
}

// admits reports whether the policy admits a name on any port.
func (c *capture) admits(name string) bool {
	if checkName(name, c.s.Faults) != nil {
		return false
	}
	ports := []uint16{80, 443}
	for _, r := range c.rules.allow {
		ports = append(ports, r.lo, r.hi)
	}
	for _, port := range ports {
		if port != 0 && c.rules.name(name, port) {
			return true
		}
	}
	return false
}
