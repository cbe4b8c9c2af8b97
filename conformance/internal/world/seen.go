// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/fixtures"
)

// Mark is a point in the witness's record: so many things of each kind behind m.
type Mark struct {
	m                       fixtures.Mark
	queries, conns, packets int
}

// Seen is what the second witness saw after a mark: nothing in it comes from the client.
type Seen struct {
	// Connections are the addresses origins accepted connections on, those of the upstream apart.
	Connections []netip.AddrPort
	// Chained are the addresses origins accepted connections of the upstream on.
	Chained []netip.AddrPort
	// Attempts are the addresses somebody sent a packet to, loopback, the name server and what the upstream
	// receives and sends apart.
	Attempts []netip.AddrPort
	// Queries are the names asked from the name server, as "TYPE name", the upstream's own apart.
	Queries []string
}

// Mark returns the point up to which everything sent so far is recorded.
func (w *World) Mark() (Mark, error) {
	m, err := w.fake.Witness().Mark()
	if err != nil {
		return Mark{}, fmt.Errorf("conformance: the witness: %w", err)
	}
	return Mark{m: m}, nil
}

// Since returns what happened after m, and the point up to which it looked, which costs less than a Mark
// and leaves no gap. Packets to and from the addresses in except (the proxy's own door) are left out.
func (w *World) Since(m Mark, except ...netip.AddrPort) (Seen, Mark, error) {
	e, err := w.fake.Witness().Since(m.m)
	if err != nil {
		return Seen{}, m, fmt.Errorf("conformance: the witness: %w", err)
	}
	next := Mark{m: m.m, queries: len(e.Queries), conns: len(e.Connections), packets: len(e.Packets)}
	e.Queries, e.Connections, e.Packets = e.Queries[m.queries:], e.Connections[m.conns:], e.Packets[m.packets:]
	var s Seen
	for _, c := range e.Connections {
		if isUpstream(c.Remote().Addr().Unmap()) {
			s.Chained = append(s.Chained, unmap(c.Local()))
			continue
		}
		s.Connections = append(s.Connections, unmap(c.Local()))
	}
	for _, p := range e.Out() {
		src, dst := unmap(p.Src), unmap(p.Dst)
		if p.DNS || answers(src, dst) || isUpstream(src.Addr()) || toUpstream(dst) || slices.Contains(except, dst) || slices.Contains(except, src) {
			continue
		}
		s.Attempts = append(s.Attempts, dst)
	}
	for _, q := range e.Queries {
		if q.Name == UpstreamName {
			continue
		}
		s.Queries = append(s.Queries, q.Type+" "+q.Name)
	}
	return s, next, nil
}

// answers reports that a packet goes back to a client rather than out to an origin: an ICMP error.
func answers(src, dst netip.AddrPort) bool {
	return src.Port() == 0 && dst.Port() == 0 && src.Addr() == dst.Addr()
}

// toUpstream reports that a packet goes to a door of the upstream's, which has a witness of its own.
func toUpstream(dst netip.AddrPort) bool {
	if dst.Addr() != upstreamAddr {
		return false
	}
	for _, port := range upstreamPorts {
		if dst.Port() == port {
			return true
		}
	}
	return false
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Dials are the distinct addresses that were connected to, or that packets were sent to.
func (s Seen) Dials() []netip.AddrPort {
	all := slices.Concat(s.Connections, s.Attempts)
	slices.SortFunc(all, netip.AddrPort.Compare)
	return slices.Compact(all)
}

// Origin is one line for the failure text.
func (s Seen) Origin() string {
	if d := s.Dials(); len(d) > 0 {
		return fmt.Sprintf("%d connection(s) or attempt(s), to %s", len(d), list(d))
	}
	return "no connection"
}

// DNS is one line for the failure text.
func (s Seen) DNS() string {
	if len(s.Queries) == 0 {
		return "no query"
	}
	return fmt.Sprintf("%d query(s): %s", len(s.Queries), list(s.Queries))
}

// list prints the first few of many.
func list[T any](all []T) string {
	const most = 8
	var text []string
	for i, a := range all {
		if i == most {
			text = append(text, fmt.Sprintf("and %d more", len(all)-most))
			break
		}
		text = append(text, fmt.Sprint(a))
	}
	return strings.Join(text, ", ")
}
