// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"net/netip"
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
)

func portChecks() []check.Check {
	return slices.Concat(
		[]check.Check{
			{ID: "PORT-001.https", Summary: "a line without a port admits 443", Run: func(x *check.X) { x.Tunnel(x.Core()) }},
			{ID: "PORT-001.http", Summary: "a line without a port admits 80", Run: portEighty},
		},
		table("PORT-002", "other ports of an allowed host"),
		table("PORT-003", "ports that are none"),
		mixedTable("PORT-004", "port lines", "port-rules"),
		[]check.Check{unclaimed("PORT-004", "port lines", "port-rules")},
	)
}

// portEighty asks for the port on which no origin of this world listens: that it was tried is the proof.
func portEighty(x *check.X) {
	p := x.Core()
	mark := x.Mark()
	r := x.Client(p).Ask(check.AllowedHost + ":80")
	seen := x.Since(mark, p)
	x.Line("Sent", "CONNECT %s:80", check.AllowedHost)
	x.Line("Got", "%s", r)
	x.Line("Origin", "%s", seen.Origin())
	at := netip.AddrPortFrom(x.World.Addr(check.AllowedHost), 80)
	mustTry(x, seen, at)
}
