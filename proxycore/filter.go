// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"net/netip"
	"strings"
)

// Policy is what a user writes: patterns of what may be reached and patterns of
// what may not. The zero value denies everything.
//
// A pattern is a name (github.com), the names one label below it
// (*.github.com), all names below it (**.github.com), every name (*), an
// address or a CIDR prefix (203.0.113.7, 10.0.0.0/8, [2001:db8::1]). Ports
// follow a colon: one (:22), a range (:8000-8100) or all (:*). Without ports an
// allow pattern means 443 and 80, a deny pattern every port. Names are compared
// as lower-case A-labels; wildcards never include the name they stand below, nor
// an address. The deny pattern * is the exception: it denies addresses too.
type Policy struct {
	// Allow lists what may be reached. nil or empty: nothing.
	Allow []string
	// Deny lists what may not, whatever Allow says. nil or empty: no exception.
	Deny []string
}

// PatternError is one pattern that cannot be used.
type PatternError struct {
	// Pattern is the pattern as written.
	Pattern string
	// Problem says what is wrong, as the rest of a sentence that begins with
	// the pattern: "begins with a dot".
	Problem string
	// Suggestion says what to write instead: "write github.com and
	// **.github.com". It is never empty.
	Suggestion string
}

// Filter decides which targets may be reached. It is immutable, so it may be
// shared by any number of servers and goroutines. Deciding takes time by the
// number of labels, not of patterns, and allocates nothing. A nil *Filter and
// the filter of the zero [Policy] deny everything.
type Filter struct {
	allow, deny table
	patterns    int
	warnings    []string
	loopback    bool
}

// NewFilter compiles a policy. It keeps nothing of p. The error holds a
// *[PatternError] for each pattern that cannot be used, joined by
// [errors.Join]; there is no filter then, so a mistake never widens or narrows a
// policy in silence.
func NewFilter(p Policy) (*Filter, error) {
	f := &Filter{patterns: len(p.Allow)}
	allow, errAllow := compile(p.Allow, false)
	deny, errDeny := compile(p.Deny, true)
	if err := errors.Join(errAllow, errDeny); err != nil {
		return nil, err
	}
	for _, a := range allow {
		if a.warning != "" {
			f.warnings = append(f.warnings, a.warning)
		}
		f.loopback = f.loopback || a.namesLoopback()
	}
	if err := errors.Join(f.allow.fill(allow), f.deny.fill(deny)); err != nil {
		return nil, err
	}
	return f, nil
}

// compile parses one list of a policy.
func compile(list []string, deny bool) ([]pattern, error) {
	var errs []error
	patterns := make([]pattern, 0, len(list))
	for i, text := range list {
		p, perr := parsePattern(text, deny)
		if perr != nil {
			errs = append(errs, perr)
			continue
		}
		p.seq = uint32(i)
		patterns = append(patterns, p)
	}
	return patterns, errors.Join(errs...)
}

// Decide judges a target. For an address that is the whole verdict. For a name
// it is the verdict before resolving, and an allowed one still needs
// [Filter.DecideAddrs]. A target that [ParseTarget] would not return is refused
// as MalformedRequest.
func (f *Filter) Decide(t Target) Decision {
	d, _ := f.decide(t)
	return d
}

// decide is Decide. The second result is true when a pattern that names
// localhost, or a name below it, admitted t.
func (f *Filter) decide(t Target) (d Decision, localhost bool) {
	labels, ok := t.scan()
	switch {
	case !ok:
		return Decision{Reason: MalformedRequest}, false
	case t.Addr.IsValid():
		return f.decideAddr(t.Addr, t.Port), false
	case f == nil:
		return Decision{Reason: HostNotAllowed}, false
	}
	if m := f.deny.host(t.Host, labels, t.Port); m.hit {
		return Decision{Reason: DeniedByRule, Rule: m.rule}, false
	}
	m := f.allow.host(t.Host, labels, t.Port)
	switch {
	case m.rule == "":
		return Decision{Reason: HostNotAllowed}, false
	case !m.hit:
		return Decision{Reason: PortNotAllowed, Rule: m.rule}, false
	case isMetadataName(t.Host) && !m.exact:
		return Decision{Reason: AddressNotAllowed}, false
	case isLocalhost(t.Host):
		// Any key that matched, but for that of "*", ends in localhost itself.
		localhost = m.named
		if !localhost && !f.admits(netip.AddrFrom4([4]byte{127, 0, 0, 1}), t.Port) && !f.admits(netip.IPv6Loopback(), t.Port) {
			return Decision{Reason: AddressNotAllowed}, false
		}
	}
	return Decision{Allowed: true, Rule: m.rule}, localhost
}

// DecideAddrs judges a target together with the addresses its name resolved to.
// It is the whole verdict, what Decide says included: every address is checked,
// and one that may not be dialled refuses them all, because a name with a
// private address among public ones is an attack or a mistake. No address at
// all is a DNSError.
func (f *Filter) DecideAddrs(t Target, addrs []netip.Addr) Decision {
	d, localhost := f.decide(t)
	if !d.Allowed {
		return d
	}
	if len(addrs) == 0 {
		return Decision{Reason: DNSError}
	}
	for _, a := range addrs {
		if !a.IsValid() {
			return Decision{Reason: AddressNotAllowed}
		}
		a = plain(a)
		if rule := f.denied(a, t.Port); rule != "" {
			return Decision{Reason: DeniedByRule, Rule: rule}
		}
		written := t.Addr == a || localhost && a.IsLoopback()
		if !written && !f.admits(a, t.Port) {
			return Decision{Reason: AddressNotAllowed}
		}
	}
	return d
}

// decideAddr judges an address that was asked for as a literal: it needs a
// pattern of its own, public or not.
func (f *Filter) decideAddr(a netip.Addr, port uint16) Decision {
	if f == nil {
		return Decision{Reason: AddressNotAllowed}
	}
	if rule := f.denied(a, port); rule != "" {
		return Decision{Reason: DeniedByRule, Rule: rule}
	}
	bits, _ := guardBits(a)
	m := f.allow.addr(a, port, bits)
	switch {
	case m.hit:
		return Decision{Allowed: true, Rule: m.rule}
	case m.rule != "":
		return Decision{Reason: PortNotAllowed, Rule: m.rule}
	}
	return Decision{Reason: AddressNotAllowed}
}

// decideOwn judges an address of the host itself, which f has admitted as the
// public one that it may be: it needs a pattern of its own, as a literal does.
func (f *Filter) decideOwn(a netip.Addr, port uint16) Decision {
	if a.IsLoopback() {
		return Decision{Allowed: true} // special-purpose: no filter admits it unasked
	}
	d := f.decideAddr(plain(a), port)
	if !d.Allowed {
		return Decision{Reason: AddressNotAllowed, Rule: d.Rule}
	}
	return d
}

// denied returns the text of the deny rule for an address or for one it carries
// inside, "" if there is none.
func (f *Filter) denied(a netip.Addr, port uint16) string {
	if f.deny.count == 0 {
		return ""
	}
	if m := f.deny.addr(a, port, 0); m.hit {
		return m.rule
	}
	for _, inner := range embedded(a) {
		if !inner.IsValid() {
			continue
		}
		if m := f.deny.addr(inner, port, 0); m.hit {
			return m.rule
		}
	}
	if m := f.deny.any(port); m.hit {
		return m.rule
	}
	return ""
}

// admits reports whether an address may be dialled for an allowed name: public
// ones may, special-purpose ones need a pattern for the address and port.
func (f *Filter) admits(a netip.Addr, port uint16) bool {
	bits, special := guardBits(a)
	if !special {
		return true
	}
	return f.allow.addr(a, port, bits).hit
}

// Warnings says which allow patterns admit hosts of strangers: wildcards below a
// name where anyone can register one, such as *.github.io, and patterns that
// admit most of the Internet, such as * and 0.0.0.0/0. They are valid, for some
// people do mean them. Each is a sentence for the user. The slice is the caller's.
func (f *Filter) Warnings() []string {
	if f == nil {
		return nil
	}
	return append([]string(nil), f.warnings...)
}

// Len returns the number of allow patterns, as given, duplicates included.
func (f *Filter) Len() int {
	if f == nil {
		return 0
	}
	return f.patterns
}

// AdmitsLoopback reports whether some allow pattern names localhost, a name
// below it, or addresses of this machine's loopback. Clients must then send
// requests for localhost to the proxy, so their NO_PROXY has to be empty.
func (f *Filter) AdmitsLoopback() bool { return f != nil && f.loopback }

// Error implements error.
func (e *PatternError) Error() string {
	var b strings.Builder
	b.WriteString("proxycore: pattern ")
	b.WriteString(quote(e.Pattern))
	b.WriteString(" ")
	b.WriteString(e.Problem)
	if e.Suggestion != "" {
		b.WriteString(": ")
		b.WriteString(e.Suggestion)
	}
	return b.String()
}
