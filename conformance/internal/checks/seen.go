// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"net/netip"
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

// What the second witness saw, in words: whoever reads a failure wants the address, not the inside of a Go value.

// noDial fails the check when anything was connected to or sent a packet.
func noDial(x *check.X, s world.Seen) {
	if len(s.Dials()) > 0 {
		x.Fail(oracle.OriginDial, "nothing may be connected to or sent a packet; seen: %s", s.Origin())
	}
}

// noQuery fails the check when the name server was asked.
func noQuery(x *check.X, s world.Seen) {
	if len(s.Queries) > 0 {
		x.Fail(oracle.DNSQuery, "the name server may not be asked; seen: %s", s.DNS())
	}
}

// mustTry fails the check when nobody tried to connect to at.
func mustTry(x *check.X, s world.Seen, at netip.AddrPort) {
	if !slices.Contains(s.Attempts, at) {
		x.Fail(oracle.OriginDial, "the proxy has to try %s; seen: %s", at, s.Origin())
	}
}
