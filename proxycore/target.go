// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"strconv"
	"strings"
)

// Target is where a client wants to go: a host and a port. Exactly one of Host
// and Addr is set in a valid target. The zero value is not valid and every
// filter refuses it. Targets are comparable.
type Target struct {
	// Host is the name in canonical form: lower-case A-labels (RFC 5890)
	// without a trailing dot. "" when the target is an address.
	Host string
	// Addr is the address asked for as a literal, never an IPv4-mapped IPv6
	// address and never with a zone. Invalid when the target is a name.
	Addr netip.Addr
	// Port is 1 to 65535.
	Port uint16
}

// TargetError says why a target cannot be evaluated.
type TargetError struct {
	// Reason is MalformedRequest, or AddressNotAllowed for an IPv4 address in
	// one of the spellings that only inet_aton(3) understands (127.1,
	// 0x7f000001): no policy can admit those.
	Reason Reason
	// Problem is one sentence without any of the input in it, so it is safe to
	// log and to send to the client.
	Problem string
}

// Error implements error.
func (e *TargetError) Error() string {
	return "proxycore: target: " + e.Problem + "; write host:port, as in example.com:443 or [2001:db8::1]:443"
}

// ParseTarget parses the authority form of a CONNECT request (RFC 9110 section
// 9.3.6): host:port, the port always written out, IPv6 addresses in brackets.
// It is strict. Nothing is trimmed, decoded or defaulted: what two parsers could
// read in two ways is an error. Every error is a *[TargetError].
func ParseTarget(authority string) (Target, error) {
	t, err := parseTarget(authority)
	if err != nil {
		return Target{}, err
	}
	return t, nil
}

// parseTarget is ParseTarget with the concrete error type.
func parseTarget(authority string) (Target, *TargetError) {
	if authority == "" {
		return Target{}, malformed("the target is empty")
	}
	if authority[0] == '[' {
		return parseBracketed(authority)
	}
	host, digits, ok := strings.Cut(authority, ":")
	if !ok {
		return Target{}, malformed("the target has no port")
	}
	if strings.Contains(digits, ":") {
		return Target{}, malformed("the target has more than one colon; an IPv6 address needs brackets")
	}
	port, problem := parsePort(digits)
	if problem != "" {
		return Target{}, malformed(problem)
	}
	if isDigit(host, len(host)-1) {
		// netip refuses leading zeros, which some systems read as octal.
		if addr, err := netip.ParseAddr(host); err == nil {
			return Target{Addr: addr, Port: port}, nil
		}
	}
	name, terr := canonicalHost(host)
	if terr != nil {
		return Target{}, terr
	}
	return Target{Host: name, Port: port}, nil
}

// parseBracketed parses [IPv6]:port, RFC 3986 section 3.2.2. Zones are refused:
// they name interfaces of this machine.
func parseBracketed(authority string) (Target, *TargetError) {
	literal, rest, ok := strings.Cut(authority[1:], "]")
	if !ok {
		return Target{}, malformed("the target has an opening bracket without a closing one")
	}
	if strings.Contains(literal, "%") {
		return Target{}, malformed("the IPv6 address has a zone")
	}
	addr, err := netip.ParseAddr(literal)
	if err != nil || !addr.Is6() {
		return Target{}, malformed("what stands in the brackets is not an IPv6 address")
	}
	digits, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return Target{}, malformed("the target has no port after the brackets")
	}
	port, problem := parsePort(digits)
	if problem != "" {
		return Target{}, malformed(problem)
	}
	return Target{Addr: addr.Unmap(), Port: port}, nil
}

// parsePort parses a port strictly: 1 to 65535, digits only, no sign and no
// leading zero. The problem is "" when the port is good.
func parsePort(s string) (port uint16, problem string) {
	switch {
	case s == "":
		return 0, "the port is empty"
	case strings.Trim(s, "0123456789") != "":
		return 0, "the port is not a plain number"
	case s == "0":
		return 0, "the port is 0"
	case s[0] == '0':
		return 0, "the port has leading zeros"
	case len(s) > len("65535"):
		return 0, "the port is over 65535"
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, "the port is over 65535"
	}
	return uint16(n), ""
}

// String returns the target as host:port, with brackets round IPv6 addresses:
// the form that [ParseTarget] accepts.
func (t Target) String() string {
	if t.Addr.IsValid() {
		return netip.AddrPortFrom(t.Addr, t.Port).String()
	}
	return t.Host + ":" + strconv.Itoa(int(t.Port))
}

// scan reports whether t could have come from ParseTarget, so that a target
// built by hand never slips past a deny pattern by its spelling. It also returns
// how many labels the name has, if it is one.
func (t *Target) scan() (labels int, ok bool) {
	switch {
	case t.Port == 0:
		return 0, false
	case t.Addr.IsValid():
		return 0, t.Host == "" && t.Addr.Zone() == "" && !t.Addr.Is4In6()
	}
	labels, last, problem := scanHost(t.Host)
	return labels, problem == "" && !isNumber(last)
}
