// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"net/netip"
	"slices"

	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// refuseLocalhost is for programs that look up localhost like any other name. What
// it would have to mean is this machine's loopback, whatever a name server says.
func (r *rendering) refuseLocalhost() {
	for _, rule := range presetrules.Names(r.rules.Allow) {
		switch {
		case proxycore.IsLocalhost(rule.Host):
			r.refuse(rule.Pattern, "it asks a name server for localhost; allow 127.0.0.1 and use that")
		case rule.Form == proxycore.FormAnyName && r.admitsLoopback(rule.Ports):
			r.refuse(rule.Pattern, "with an admitted loopback address it includes localhost, for which the program asks a name server; list the names")
		}
	}
}

// admitsLoopback reports whether the usual loopback addresses are admitted on some
// of the ports.
func (r *rendering) admitsLoopback(ports []proxycore.PortRange) bool {
	loopback := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	return slices.ContainsFunc(presetrules.Addresses(r.rules.Allow), func(rule presetrules.Rule) bool {
		holds := slices.ContainsFunc(presetrules.Literal(rule.Prefix), func(s presetrules.Span) bool {
			return slices.ContainsFunc(loopback, func(a netip.Addr) bool { return !a.Less(s.First) && !s.Last.Less(a) })
		})
		return holds && slices.ContainsFunc(rule.Ports, func(p proxycore.PortRange) bool {
			return slices.ContainsFunc(ports, func(q proxycore.PortRange) bool { return p.First <= q.Last && q.First <= p.Last })
		})
	})
}
