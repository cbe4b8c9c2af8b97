// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func transparentChecks() []check.Check {
	all := slices.Concat(transparentNames(), transparentQueries(), transparentTargets(), transparentEnds(), transparentInside())
	for i := range all {
		all[i].Needs = append([]string{"transparent"}, all[i].Needs...)
	}
	all = append(all, check.Check{
		ID: "TRANSPARENT-026.unclaimed", Summary: "a transparent sandbox, not claimed: refused at the start",
		Unclaimed: "transparent", Run: notTransparent,
	})
	slices.SortStableFunc(all, func(a, b check.Check) int { return strings.Compare(a.Requirement(), b.Requirement()) })
	return all
}

// Actions of programs that know nothing of proxies.

func carrying(network, address string) probe.Action {
	return probe.Action{Do: "carry", Network: network, Address: address}
}

// asking is a query to the resolver the system is told to ask.
func asking(name string, kind uint16) probe.Action {
	return probe.Action{Do: "query", Network: "udp", Ask: &probe.Ask{Name: name, Type: kind}}
}

// The record types of queries, besides those of package probe.
const (
	typeNS, typeCNAME, typeSOA, typePTR, typeMX, typeTXT = 2, 5, 6, 12, 15, 16
	typeSRV, typeSVCB, typeHTTPS, typeAXFR, typeANY      = 33, 64, 65, 252, 255
)

// within is what both witnesses saw of the actions of one program in a sandbox.
type within struct {
	results []probe.Result
	seen    world.Seen
}

// queryStreams is how many connections with queries are open at the same time: few, since how many a name server bears is its
// own affair.
const queryStreams = 4

// atOnce are the actions that may be done at the same time, in groups.
func atOnce(actions []probe.Action) []probe.Action {
	var most, few []probe.Action
	for _, a := range actions {
		if a.Do == "query" && a.Network == "tcp" {
			few = append(few, a)
		} else {
			most = append(most, a)
		}
	}
	out := []probe.Action{{Do: "together", All: most}}
	for group := range slices.Chunk(few, queryStreams) {
		out = append(out, probe.Action{Do: "together", All: group})
	}
	return out
}

// past does the actions in a sandbox of p, as many as can be at the same time, between two controls; what the controls
// did is left out of what the world saw. The control is another host than those that checks ask about.
func past(x *check.X, p *check.Proxy, actions ...probe.Action) within {
	host := insideHost
	if !slices.Contains(p.Config.Allow, host) || slices.Contains(p.Config.Deny, host) {
		host = check.AllowedHost
	}
	control := carrying("tcp4", host+":443")
	mark := x.Mark()
	r := x.SharedTalk(p).Do(slices.Concat([]probe.Action{control}, atOnce(actions), []probe.Action{control})...)
	w := within{seen: x.Since(mark, p)}
	for i, group := range r {
		w.results = append(w.results, group.All...)
		if (i == 0 || i == len(r)-1) && !group.Done {
			x.Note(oracle.Control, "%s past the proxy, in %d of %d: %s", host, i+1, len(r), group.Detail)
		}
	}
	door := netip.AddrPortFrom(x.World.Addr(host), 443)
	own := func(a netip.AddrPort) bool { return a == door }
	w.seen.Connections = slices.DeleteFunc(w.seen.Connections, own)
	w.seen.Attempts = slices.DeleteFunc(w.seen.Attempts, own)
	w.seen.Queries = slices.DeleteFunc(w.seen.Queries, func(q string) bool { return strings.HasSuffix(q, " "+host) })
	x.Line("Origin", "%s", w.seen.Origin())
	x.Line("DNS", "%s", w.seen.DNS())
	return w
}

// each gives every result to judge, which returns what is wrong with it, or "", and enters the first few that are wrong
// in the record.
func (w within) each(x *check.X, kind oracle.Kind, judge func(probe.Result) string) {
	bad := 0
	for _, r := range w.results {
		what := r.Action.Do + " " + r.Action.Address
		if a := r.Action.Ask; a != nil {
			what = fmt.Sprintf("query %s type %d at %s over %s", a.Name, a.Type, r.Action.Address, r.Action.Network)
		}
		wrong := judge(r)
		if wrong == "" {
			continue
		}
		if bad++; bad <= 4 {
			x.Line("Got", "%s: %s %s", what, r.End, r.Detail)
		}
		x.Note(kind, "%s: %s", what, wrong)
	}
	x.Line("Table", "%d of %d as required", len(w.results)-bad, len(w.results))
}

// contained fails for everything that reached the world, queries too.
func (w within) contained(x *check.X) {
	if len(w.seen.Dials()) > 0 {
		x.Note(oracle.OriginDial, "nothing may be connected to or sent a packet; seen: %s", w.seen.Origin())
	}
	w.unasked(x)
}

// unasked fails for queries alone.
func (w within) unasked(x *check.X) {
	if len(w.seen.Queries) > 0 {
		x.Note(oracle.DNSQuery, "the name server may not be asked; seen: %s", w.seen.DNS())
	}
}

// carriedNothing is the judgement of what has to be refused.
func carriedNothing(r probe.Result) string {
	if r.Done {
		return "it carried bytes: " + r.Detail
	}
	return ""
}

func transparentNames() []check.Check {
	return []check.Check{
		{ID: "TRANSPARENT-001.resolver", Summary: "an allowed host is reached by the system's resolver and connect alone", Run: plainProgram},
		{ID: "TRANSPARENT-001.ipv4", Summary: "a query for IPv4 is answered with an address that leads there", Run: family4},
		{ID: "TRANSPARENT-001.ipv6", Summary: "a query for IPv6 is answered with an address that leads there", Run: family6},
		{ID: "TRANSPARENT-002.no-address", Summary: "a name the policy does not admit has no address", Run: deniedNames},
		{ID: "TRANSPARENT-002.not-asked", Summary: "nor is anybody outside asked for it", Run: deniedUnasked},
		{ID: "TRANSPARENT-003.no-such-name", Summary: "it does not exist", Run: deniedCode},
		{ID: "TRANSPARENT-004.extended-error", Summary: "whoever asks with EDNS is told that it is blocked", Run: deniedReason},
		{ID: "TRANSPARENT-009.many", Summary: "40 names, resolved and connected to at once, each lead to their own host", Run: crowd},
		{ID: "TRANSPARENT-009.again", Summary: "what a name was answered with stays good when it is asked for again", Run: askAgain},
		{ID: "TRANSPARENT-010.neighbours", Summary: "addresses next to one that was given out lead nowhere", Run: neighbours},
		{ID: "TRANSPARENT-011.other-sandbox", Summary: "an address given out in one sandbox leads nowhere in another", Run: otherSandbox},
		{ID: "TRANSPARENT-011.side-by-side", Summary: "two sandboxes that ask for different names do not get into each other's way", Run: sideBySide},
		{ID: "TRANSPARENT-025.localhost", Summary: "localhost is the loopback interface", Run: localhost},
	}
}

// plainProgram does what every program does that has never heard of proxies.
func plainProgram(x *check.X) {
	p := x.Transparent("core")
	mark := x.Mark()
	r := x.Talk(p).Do(carrying("tcp", check.AllowedTarget))[0]
	seen := x.Since(mark, p)
	x.Line("Got", "%s %s", r.End, r.Detail)
	x.Line("Origin", "%s", seen.Origin())
	x.Saw(oracle.Sandbox).Expect(r.Said).To(Equal("carry "+check.AllowedTarget+"\n"), "an echo from %s: %s %s", check.AllowedTarget, r.End, r.Detail)
	x.Saw(oracle.OriginDial).Expect(seen.Connections).To(Equal([]netip.AddrPort{netip.AddrPortFrom(x.World.Addr(check.AllowedHost), 443)}), "connections to origins")
}

// address is what a name is answered with in a sandbox.
func address(x *check.X, t *check.Talk, name string, kind uint16) netip.Addr {
	r := t.Do(asking(name, kind))[0]
	x.Line("Got", "query %s type %d: %s %s", name, kind, r.End, r.Detail)
	if !r.Done || len(r.Reply.Addrs) != 1 {
		x.Fail(oracle.Sandbox, "a query for %s, type %d: want one address, got %s %s", name, kind, r.End, r.Detail)
	}
	a := netip.MustParseAddr(r.Reply.Addrs[0])
	if a.Is4() != (kind == probe.TypeA) {
		x.Fail(oracle.Sandbox, "a query for %s, type %d, is answered with %s", name, kind, a)
	}
	return a
}

// leads verifies that an address leads to the one host, on port 443.
func leads(x *check.X, p *check.Proxy, t *check.Talk, a netip.Addr, host string) {
	mark := x.Mark()
	r := t.Do(carrying("tcp", netip.AddrPortFrom(a, 443).String()))[0]
	seen := x.Since(mark, p)
	x.Line("Got", "%s for %s: %s %s", a, host, r.End, r.Detail)
	x.Line("Origin", "%s", seen.Origin())
	if !r.Done {
		x.Note(oracle.Sandbox, "%s, the address of %s: %s %s", a, host, r.End, r.Detail)
	}
	want := netip.AddrPortFrom(x.World.Addr(host), 443)
	if d := seen.Dials(); len(d) != 1 || d[0] != want {
		x.Note(oracle.OriginDial, "%s, the address of %s, has to lead to %s; seen: %s", a, host, want, seen.Origin())
	}
}

func family4(x *check.X) { ofFamily(x, probe.TypeA) }

func family6(x *check.X) { ofFamily(x, probe.TypeAAAA) }

// ofFamily also takes a host that has only addresses of the other family: to whom the name leads is the proxy's affair.
func ofFamily(x *check.X, kind uint16) {
	p := x.Transparent("core")
	t := x.Talk(p)
	for _, host := range []string{check.AllowedHost, "six.example.com"} {
		leads(x, p, t, address(x, t, host, kind), host)
	}
}

// crowd connects to many names in both families; every origin says who it is.
func crowd(x *check.X) {
	c := x.TransparentConfig("none")
	strangers := x.World.Crowd(40)
	actions := []probe.Action{}
	for i, s := range strangers {
		c.Allow = append(c.Allow, s.Name)
		actions = append(actions, probe.Action{Do: "listen", Network: []string{"tcp4", "tcp6"}[i/2%2], Address: s.Name + ":443"})
	}
	p := x.MustStart(c)
	mark := x.Mark()
	r := x.Talk(p).Do(probe.Action{Do: "together", All: actions})[0]
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	for i, s := range strangers {
		if got := r.All[i]; strings.TrimSpace(got.Said) != s.Name {
			x.Note(oracle.Sandbox, "%s leads to %q (%s %s)", s.Name, got.Said, got.End, got.Detail)
		}
	}
	x.Saw(oracle.OriginDial).Expect(seen.Connections).To(HaveLen(len(strangers)), "connections to origins")
}

func askAgain(x *check.X) {
	p := x.Transparent("core")
	t := x.Talk(p)
	first := address(x, t, check.AllowedHost, probe.TypeA)
	address(x, t, insideHost, probe.TypeA)
	again := address(x, t, check.AllowedHost, probe.TypeA)
	if first != again {
		x.Line("Got", "%s is %s, and then %s", check.AllowedHost, first, again)
	}
	leads(x, p, t, first, check.AllowedHost)
}

// neighbours connects to addresses next to the one that the only name asked for was answered with.
func neighbours(x *check.X) {
	p := x.Transparent("core")
	t := x.Talk(p)
	actions := []probe.Action{}
	for _, kind := range []uint16{probe.TypeA, probe.TypeAAAA} {
		a := address(x, t, check.AllowedHost, kind)
		for _, n := range []netip.Addr{a.Next(), a.Next().Next().Next().Next(), a.Prev()} {
			if n.IsValid() {
				actions = append(actions, carrying("tcp", netip.AddrPortFrom(n, 443).String()))
			}
		}
	}
	mark := x.Mark()
	w := within{t.Do(probe.Action{Do: "together", All: actions})[0].All, x.Since(mark, p)}
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
	leads(x, p, t, address(x, t, check.AllowedHost, probe.TypeA), check.AllowedHost)
}

// otherSandbox uses addresses in a sandbox in which nothing was asked for.
func otherSandbox(x *check.X) {
	p := x.Transparent("core")
	one, two := x.Talk(p), x.Talk(p)
	actions := []probe.Action{}
	for _, kind := range []uint16{probe.TypeA, probe.TypeAAAA} {
		a := address(x, one, check.AllowedHost, kind)
		actions = append(actions, carrying("tcp", netip.AddrPortFrom(a, 443).String()))
	}
	mark := x.Mark()
	w := within{two.Do(actions...), x.Since(mark, p)}
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
	leads(x, p, two, address(x, two, check.AllowedHost, probe.TypeA), check.AllowedHost)
}

// sideBySide asks for two names in two sandboxes in opposite order: whoever counts from one gives both the same address.
func sideBySide(x *check.X) {
	p := x.Transparent("core")
	one, two := x.Talk(p), x.Talk(p)
	hosts := []string{check.AllowedHost, insideHost}
	var addrs [2][2]netip.Addr
	for i := range hosts {
		addrs[0][i] = address(x, one, hosts[i], probe.TypeA)
		addrs[1][1-i] = address(x, two, hosts[1-i], probe.TypeA)
	}
	for i, host := range hosts {
		leads(x, p, one, addrs[0][i], host)
		leads(x, p, two, addrs[1][i], host)
	}
}

func localhost(x *check.X) {
	w := past(x, x.Transparent("core"), asking("localhost", probe.TypeA), asking("localhost", probe.TypeAAAA), asking("foo.localhost", probe.TypeA))
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		want := "127.0.0.1"
		if r.Action.Ask.Type == probe.TypeAAAA {
			want = "::1"
		}
		if !r.Done || !slices.Equal(r.Reply.Addrs, []string{want}) {
			return "want " + want
		}
		return ""
	})
	w.contained(x)
}

// notTransparent is asked for something that it would be wrong to leave out.
func notTransparent(x *check.X) {
	p, err := x.Start(x.TransparentConfig("core"))
	x.Line("Got", "%v", err)
	if err == nil {
		x.Saw(oracle.Lifecycle).Expect(p.End()).To(Succeed(), "Stop")
		x.Fail(oracle.Lifecycle, "an instance runs though the backend does not claim that its sandboxes can be transparent")
	}
}
