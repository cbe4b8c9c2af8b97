// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers the DNS queries of one sandbox, out of its pool and the
// policy. It asks nobody: a query never leaves this process.
type nameServer struct {
	pool   *namePool
	only4  bool                          // see source
	decide func(host string) Decision    // whether a name may have addresses
	refuse func(host string, d Decision) // a query that is about to be refused
}

// answer is what a reply says.
type answer struct {
	rcode dnsmessage.RCode
	addr  netip.Addr // of an A or AAAA record
	ptr   string     // of a PTR record: a canonical name
	why   Reason     // of a refusal
}

// reply appends the reply to a query to b and returns it; nil when there is to be
// none. datagram says that it must fit one.
func (n *nameServer) reply(b, msg []byte, datagram bool) []byte {
	q, ok := parseQuery(msg)
	if !ok {
		return nil
	}
	a := answer{rcode: q.rcode}
	if a.rcode == dnsmessage.RCodeSuccess {
		a = n.answer(q.question)
	}
	out, err := q.pack(b, a, false)
	if err == nil && datagram && len(out)-len(b) > q.limit() {
		out, err = q.pack(b, a, true)
	}
	if err != nil {
		return nil
	}
	return out
}

// answer decides what a question is answered.
func (n *nameServer) answer(q dnsmessage.Question) answer {
	if q.Name.Length == 1 {
		return answer{} // the root is no host: it has nothing, and is refused to nobody
	}
	host, err := queriedHost(q.Name.String())
	if err != nil {
		return n.refused("", Decision{Reason: err.Reason})
	}
	if isLocalhost(host) { // RFC 6761 section 6.3
		return address(q.Type, loopback[0], loopback[1])
	}
	if a, ok := n.reverse(host, q.Type); ok {
		return a
	}
	if d := n.decide(host); !d.Allowed {
		return n.refused(host, d)
	}
	if q.Type != dnsmessage.TypeA && q.Type != dnsmessage.TypeAAAA {
		return answer{} // the name exists, and has none of these
	}
	v4, v6, ok := n.pool.addresses(host)
	if !ok {
		a := n.refused(host, Decision{Reason: LimitExceeded})
		a.rcode = dnsmessage.RCodeServerFailure
		return a
	}
	if n.only4 {
		v6 = netip.Addr{}
	}
	return address(q.Type, v4, v6)
}

// refused is the answer to a query for a name that is not admitted. It is not
// REFUSED: with that, clients ask again, or wait.
func (n *nameServer) refused(host string, d Decision) answer {
	n.refuse(host, d)
	return answer{rcode: dnsmessage.RCodeNameError, why: d.Reason}
}

// address is the answer to a query for a name with addresses.
func address(t dnsmessage.Type, v4, v6 netip.Addr) (a answer) {
	switch t {
	case dnsmessage.TypeA:
		a.addr = v4
	case dnsmessage.TypeAAAA:
		a.addr = v6
	}
	return a
}

// reverse answers for the names of addresses that only this name server knows;
// false for any other name.
func (n *nameServer) reverse(host string, t dnsmessage.Type) (a answer, ok bool) {
	addr, ok := reverseAddr(host)
	if !ok {
		return a, false
	}
	name, pooled := n.pool.name(addr)
	switch {
	case slices.Contains(loopback, addr):
		name = "localhost"
	case !pooled:
		return a, false
	case name == "":
		return answer{rcode: dnsmessage.RCodeNameError}, true
	}
	if t == dnsmessage.TypePTR {
		a.ptr = name
	}
	return a, true
}

// queriedHost gives the canonical form of a name on the wire. Names of other
// scripts come as A-labels: bytes beyond ASCII mean nothing that all agree on.
func queriedHost(name string) (string, *TargetError) {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return "", malformed("the name is not ASCII")
		}
	}
	return canonicalHost(name)
}

// reverseAddr gives the address that a canonical name is the reverse of (RFC 1035
// section 3.5, RFC 3596 section 2.5).
func reverseAddr(host string) (netip.Addr, bool) {
	if rest, ok := strings.CutSuffix(host, ".in-addr.arpa"); ok {
		labels := strings.Split(rest, ".")
		slices.Reverse(labels)
		a, err := netip.ParseAddr(strings.Join(labels, "."))
		return a, err == nil && a.Is4()
	}
	rest, ok := strings.CutSuffix(host, ".ip6.arpa")
	if !ok || len(rest) != 63 {
		return netip.Addr{}, false
	}
	var raw [16]byte
	for i := range 32 {
		digit := strings.IndexByte("0123456789abcdef", rest[62-2*i])
		if digit < 0 || i > 0 && rest[63-2*i] != '.' {
			return netip.Addr{}, false
		}
		raw[i/2] = raw[i/2]<<4 | byte(digit)
	}
	return netip.AddrFrom16(raw), true
}
