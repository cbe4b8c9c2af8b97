// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"net/netip"
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
	// Reason is MalformedRequest, or AddressNotAllowed for an address in one
	// of the legacy inet_aton spellings.
	Reason Reason
	// Problem is one sentence without the input in it, safe to log and to
	// send to the client.
	Problem string
}

// Error implements error.
func (e *TargetError) Error() string { return "proxycore: target: " + e.Problem }

// ParseTarget parses the authority form of RFC 9112 section 3.2.3.
func ParseTarget(authority string) (Target, error) {
	return Target{}, errors.ErrUnsupported
}

// String returns the target as host:port, with brackets round IPv6 addresses.
func (t Target) String() string { return "" }
