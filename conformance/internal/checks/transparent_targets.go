// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

func transparentTargets() []check.Check {
	return []check.Check{
		{ID: "TRANSPARENT-012.literals", Summary: "connections to addresses reach nothing: of allowed names, private, metadata, wrapped", Run: capturedLiterals},
		{ID: "TRANSPARENT-012.admitted", Summary: "connections to addresses the policy admits get there", Needs: []string{"address-rules"}, Run: admittedLiterals},
		{ID: "TRANSPARENT-013.special", Summary: "allowed names with special-purpose addresses reach nothing", Run: capturedSpecial},
		{ID: "TRANSPARENT-013.rebinding", Summary: "what is dialled is what was checked, though the answers change", Run: capturedRebinding},
		{ID: "TRANSPARENT-014.other-ports", Summary: "other ports of an allowed name reach nothing", Run: otherPorts},
		{ID: "TRANSPARENT-014.port-lines", Summary: "every name is reached on its ports, and not on another's", Needs: []string{"port-rules"}, Run: portLines},
		{ID: "TRANSPARENT-014.every-port", Summary: "a line for every port opens them, or there is no sandbox", Needs: []string{"port-rules"}, Run: everyPort},
		{ID: "TRANSPARENT-015.deny", Summary: "deny lines win", Needs: []string{"deny-rules"}, Run: capturedDeny},
		{ID: "TRANSPARENT-016.tables", Summary: "the tables of targets come out as for CONNECT", Run: capturedTables},
	}
}

// capturedLiterals takes addresses from the tables, on a port the policy admits for names.
func capturedLiterals(x *check.X) {
	actions := []probe.Action{}
	for _, a := range []string{
		"93.184.215.14", "45.33.32.156", "10.1.2.3", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.51.100.1",
		"2606:2800:21f::14", "fd12:3456::1", "fd00:ec2::254", "2001:db8::1", "64:ff9b::a01:203", "2002:a01:203::1", "2001:0:a01:203::1",
		"::10.1.2.3", "::ffff:10.1.2.3", "::ffff:93.184.215.14",
	} {
		actions = append(actions, carrying("tcp", net.JoinHostPort(a, "443")), carrying("tcp", net.JoinHostPort(a, "80")))
	}
	w := past(x, x.Transparent("core"), actions...)
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

// reached verifies that each action carried bytes, and that together they reached exactly these.
func (w within) reached(x *check.X, want ...string) {
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done {
			return "it carried nothing: " + r.End
		}
		return ""
	})
	var addrs []netip.AddrPort
	for _, a := range want {
		addrs = append(addrs, netip.MustParseAddrPort(a))
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	if got := w.seen.Dials(); !slices.Equal(got, addrs) {
		x.Note(oracle.OriginDial, "want connections to %v and nothing else; seen: %s", addrs, w.seen.Origin())
	}
}

func admittedLiterals(x *check.X) {
	p := x.Transparent("addresses")
	past(x, p, carrying("tcp4", "93.184.215.20:443"), carrying("tcp6", "[2606:2800:21f::20]:8443"), carrying("tcp4", "10.1.77.5:443")).
		reached(x, "93.184.215.20:443", "[2606:2800:21f::20]:8443", "10.1.77.5:443")
	w := past(x, p, carrying("tcp4", "93.184.215.20:8443"), carrying("tcp4", "93.184.215.21:443"), carrying("tcp6", "[2606:2800:21f::20]:443"),
		carrying("tcp6", "[2606:2800:21f::21]:8443"), carrying("tcp4", "10.2.0.5:443"), carrying("tcp4", "10.1.77.5:8443"))
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

// capturedSpecial takes the names of ADDR-010, ADDR-011 and ADDR-013, in both families.
func capturedSpecial(x *check.X) {
	actions := []probe.Action{}
	for _, v := range vectors.Targets() {
		if slices.Contains([]string{"ADDR-010", "ADDR-011", "ADDR-013"}, v.Group) && v.Policy == "core" {
			actions = append(actions, carrying("tcp4", v.Target), carrying("tcp6", v.Target))
		}
	}
	w := past(x, x.Transparent("core"), actions...)
	w.each(x, oracle.Sandbox, carriedNothing)
	x.Saw(oracle.OriginDial).Expect(w.seen.Dials()).To(BeEmpty(), "addresses that were reached")
}

func capturedRebinding(x *check.X) {
	p := x.Transparent("core")
	t := x.Talk(p)
	for range 3 {
		x.World.Rebind(rebindHost, rebindFrom, rebindTo)
		mark := x.Mark()
		r := t.Do(carrying("tcp4", rebindHost+":443"))[0]
		seen := x.Since(mark, p)
		x.Line("Got", "%s %s", r.End, r.Detail)
		x.Line("Origin", "%s", seen.Origin())
		for _, d := range seen.Dials() {
			x.Saw(oracle.OriginDial).Expect(d.Addr()).To(Equal(rebindFrom), "an address that was reached")
		}
	}
	leads(x, p, t, address(x, t, check.AllowedHost, probe.TypeA), check.AllowedHost)
}

func otherPorts(x *check.X) {
	actions := []probe.Action{}
	for _, port := range []string{"22", "25", "81", "442", "444", "853", "8443"} {
		actions = append(actions, carrying("tcp4", check.AllowedHost+":"+port), carrying("tcp6", check.AllowedHost+":"+port))
	}
	w := past(x, x.Transparent("core"), actions...)
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

// portLines has two names with different ports: what is captured for one must not carry the other.
func portLines(x *check.X) {
	c := x.TransparentConfig("none")
	c.Allow = []string{"allowed.example.com", "second.example.org:8443", "range.example.com:8440-8450", "every.example.com:22"}
	p := x.Shared("port lines, transparent", c)
	past(x, p, carrying("tcp4", "second.example.org:8443"), carrying("tcp6", "range.example.com:8443"), carrying("tcp4", "every.example.com:22")).
		reached(x, "93.184.215.15:8443", "93.184.215.17:8443", "93.184.215.18:22")
	w := past(x, p, carrying("tcp4", "second.example.org:443"), carrying("tcp4", "second.example.org:22"), carrying("tcp4", "allowed.example.com:8443"),
		carrying("tcp6", "allowed.example.com:22"), carrying("tcp4", "range.example.com:443"), carrying("tcp4", "every.example.com:8443"),
		carrying("tcp4", "45.33.32.156:8443"), carrying("tcp4", "45.33.32.156:22"))
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

// everyPort: where all ports cannot be captured a sandbox is better not made than made with a part of them.
func everyPort(x *check.X) {
	c := x.TransparentConfig("none")
	c.Allow = []string{"allowed.example.com", "every.example.com:*"}
	p, err := x.Start(c)
	if err != nil {
		x.Line("Got", "no instance with a line for every port: %v", err)
		return
	}
	t, err := x.TryTalk(p)
	if err == nil {
		_, err = t.Try()
	}
	if err != nil {
		x.Line("Got", "no sandbox with a line for every port: %v", err)
		return
	}
	past(x, p, carrying("tcp4", "every.example.com:22"), carrying("tcp6", "every.example.com:443"), carrying("tcp4", "every.example.com:8443")).
		reached(x, "93.184.215.18:22", "93.184.215.18:443", "93.184.215.18:8443")
	w := past(x, p, carrying("tcp4", "allowed.example.com:22"), carrying("tcp6", "allowed.example.com:8443"), carrying("tcp4", "45.33.32.156:8443"),
		carrying("tcp6", "[2606:2800:21f::14]:22"), carrying("tcp4", "10.1.2.3:22"),
		carrying("tcp4", "127.0.0.1:443"), carrying("tcp6", "[::1]:22"), probe.Action{Do: "datagram", Network: "udp4", Address: "45.33.32.156:443"})
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

func capturedDeny(x *check.X) {
	p := x.Transparent("deny")
	w := past(x, p, asking("second.example.org", probe.TypeA), asking("SECOND.example.org", probe.TypeAAAA))
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done || r.Reply.Answers > 0 {
			return "want an answer without an address"
		}
		return ""
	})
	w.contained(x)
	w = past(x, p, carrying("tcp4", "range.example.com:443"), carrying("tcp6", "Range.Example.com:443"), carrying("tcp4", "second.example.org:443"))
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

// capturedTables asks for the targets of the other areas: what a tunnel is refused for may not be captured either, and
// the other way round.
func capturedTables(x *check.X) {
	policies := vectors.Policies()
	for _, name := range []string{"core", "mixed", "wild", "deep", "any", "deny", "addresses"} {
		if slices.ContainsFunc(policies[name].Features, func(f string) bool { return !x.Claims(f) }) {
			continue
		}
		actions := []probe.Action{}
		wanted := map[string]vectors.Vector{}
		reach := []netip.AddrPort{}
		for _, v := range vectors.Targets() {
			if v.Policy != name || !connectable(v) {
				continue
			}
			if _, twice := wanted[v.Target]; !twice {
				actions = append(actions, carrying("tcp", v.Target))
			}
			wanted[v.Target] = v
			if host, port, _ := net.SplitHostPort(strings.ToLower(v.Target)); v.Want == vectors.Allow {
				reach = append(reach, reachable(x, host, port))
			}
		}
		w := past(x, x.Transparent(name), actions...)
		w.each(x, oracle.Sandbox, func(r probe.Result) string {
			v := wanted[r.Action.Address]
			if (v.Want == vectors.Allow) != r.Done {
				return "under the policy " + name + " (" + v.ID() + "): want " + string(v.Want)
			}
			return ""
		})
		for _, d := range w.seen.Dials() {
			if !slices.Contains(reach, d) {
				x.Note(oracle.OriginDial, "under the policy %s nothing leads to %s", name, d)
			}
		}
	}
}

// inside4 are the addresses (RFC 2544) that sandboxes answer with more than any others: in there such an address may
// be a name's.
var inside4 = netip.MustParsePrefix("198.18.0.0/15")

// connectable says that a program can ask for a target by itself: a name that a resolver takes as it is, or an address
// in its usual spelling that is not the sandbox's own.
func connectable(v vectors.Vector) bool {
	host, _, err := net.SplitHostPort(v.Target)
	if err != nil || v.Host != "" && v.Want == vectors.Allow || v.Group == "PORT-001" {
		return false
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == "" && !a.Unmap().IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() && a.String() == host && !inside4.Contains(a)
	}
	if !slices.Contains(v.Status, 200) && v.Status[0] != 403 || strings.Contains(host, "localhost") {
		return false
	}
	return strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" && strings.ContainsAny(host, "abcdefghijklmnopqrstuvwxyz") &&
		!strings.HasPrefix(host, "0")
}

// reachable is where an allowed target leads.
func reachable(x *check.X, host, port string) netip.AddrPort {
	if a := x.World.Addr(strings.TrimSuffix(host, ".")); a.IsValid() {
		host = a.String()
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		x.Abort("%s:%s leads nowhere in this world", host, port)
	}
	return at
}
