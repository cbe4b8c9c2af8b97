// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func addressChecks() []check.Check {
	return slices.Concat(
		table("ADDR-001", "addresses of allowed names and other public ones"),
		table("ADDR-002", "special-purpose IPv4 addresses"),
		table("ADDR-003", "IPv4 addresses in the spellings of inet_aton"),
		table("ADDR-004", "special-purpose IPv6 addresses"),
		table("ADDR-005", "IPv4 addresses wrapped in IPv6"),
		table("ADDR-006", "addresses with a zone"),
		table("ADDR-007", "what looks like an address and is none"),
		table("ADDR-008", "localhost and the names below it"),
		table("ADDR-009", "every literal under `*`", "any-name"),
		table("ADDR-010", "allowed names with a special-purpose address"),
		table("ADDR-011", "allowed names with a public and a special-purpose address"),
		[]check.Check{
			{ID: "ADDR-012.one-lookup", Summary: "a name is looked up once for a tunnel", Run: oneLookup},
			{ID: "ADDR-012.no-rebinding", Summary: "what is dialled is what was checked, though the answers change", Run: rebinding},
		},
		table("ADDR-013", "allowed names that are an alias of an internal one"),
		mixedTable("ADDR-014", "address lines", "address-rules"),
		[]check.Check{unclaimed("ADDR-014", "address lines", "address-rules")},
		allowedTable("ADDR-015", "names with IPv6 addresses only"),
		[]check.Check{
			{ID: "ADDR-016.no-recursion", Summary: "the proxy does not connect to itself", Needs: []string{"address-rules", "tcp"}, Run: selfConnection},
		},
	)
}

const rebindHost = "rebind.example.com"

var rebindTo = netip.MustParseAddr("10.1.2.3")

// rebindFrom has an origin; rebindTo is an address no name may lead to.
var rebindFrom = netip.MustParseAddr("93.184.215.40")

func oneLookup(x *check.X) {
	p := x.Core()
	x.World.Rebind(rebindHost, rebindFrom, rebindFrom)
	mark := x.Mark()
	r := x.Client(p).Ask(rebindHost + ":443")
	seen := x.Since(mark, p)
	x.Line("Sent", "CONNECT %s:443", rebindHost)
	x.Line("Got", "%s", r)
	x.Line("DNS", "%s", seen.DNS())
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
	for _, kind := range []string{"A", "AAAA"} {
		n := 0
		for _, q := range seen.Queries {
			if strings.HasPrefix(q, kind+" ") {
				n++
			}
		}
		x.Saw(oracle.DNSQuery).Expect(n).To(BeNumerically("<=", 1), "queries of type %s", kind)
	}
}

func rebinding(x *check.X) {
	p := x.Core()
	x.Control(p, "before")
	for i := range 3 {
		x.World.Rebind(rebindHost, rebindFrom, rebindTo)
		mark := x.Mark()
		r := x.Client(p).Ask(rebindHost + ":443")
		seen := x.Since(mark, p)
		x.Line("Sent", "CONNECT %s:443, time %d", rebindHost, i+1)
		x.Line("Got", "%s", r)
		x.Line("Origin", "%s", seen.Origin())
		x.Line("DNS", "%s", seen.DNS())
		for _, d := range seen.Dials() {
			x.Saw(oracle.OriginDial).Expect(d.Addr()).To(Equal(rebindFrom), "an address that was reached")
		}
	}
	x.Control(p, "after")
}

// selfConnection allows the proxy's own address and port and then asks for it.
func selfConnection(x *check.X) {
	port := freePort(x)
	p := x.MustStart(check.Config{Allow: []string{check.AllowedHost, fmt.Sprintf("127.0.0.1:%d", port)}, Port: port})
	x.Control(p, "before")
	r := x.Client(p).Ask(fmt.Sprintf("127.0.0.1:%d", port))
	x.Line("Sent", "CONNECT 127.0.0.1:%d, the proxy itself", port)
	x.Line("Got", "%s", r)
	x.Saw(oracle.ClientStatus).Expect(r.Status).To(Equal(403), "answer: %s", r)
	x.Control(p, "after")
}

// freePort returns a port of the loopback interface nobody listens on.
func freePort(x *check.X) int {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		x.Abort("finding a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
