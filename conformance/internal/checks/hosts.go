// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func hostChecks() []check.Check {
	return slices.Concat(
		allowedTable("HOST-001", "names in any case"),
		allowedTable("HOST-002", "policy lines in any case"),
		table("HOST-003", "names that end like an allowed one"),
		table("HOST-004", "names that begin like an allowed one"),
		table("HOST-005", "names below, above and beside an allowed one"),
		mixedTable("HOST-006", "trailing dots", ""),
		table("HOST-007", "user information in the target"),
		table("HOST-008", "control characters and spaces in the target"),
		table("HOST-009", "percent-encoding in the target"),
		table("HOST-010", "brackets that hold no IPv6 address"),
		table("HOST-011", "URL delimiters in the target"),
		table("HOST-012", "more than one port"),
		table("HOST-013", "empty labels and stars"),
		table("HOST-014", "overlong names"),
		table("HOST-015", "names that look like an allowed one, and bytes that are no text"),
		allowedTable("HOST-016", "names with an underscore"),
		mixedTable("HOST-017", "`*.` wildcards", "wildcards"),
		[]check.Check{unclaimed("HOST-017", "`*.` wildcards", "wildcards")},
		mixedTable("HOST-018", "`**.` wildcards", "deep-wildcards"),
		[]check.Check{unclaimed("HOST-018", "`**.` wildcards", "deep-wildcards")},
		table("HOST-019", "a denied target, or none, with an allowed Host field"),
		[]check.Check{{
			ID: "HOST-019.target-reached", Summary: "with an allowed target and another Host field only the target is reached",
			Run: hostFieldIgnored,
		}},
		mixedTable("HOST-020", "`*`", "any-name"),
	)
}

func hostFieldIgnored(x *check.X) {
	p := x.Core()
	mark := x.Mark()
	c := x.Client(p)
	c.Send("CONNECT " + check.AllowedTarget + " HTTP/1.1\r\nHost: " + check.DeniedTarget + "\r\n\r\n")
	r := c.Answer("CONNECT")
	x.Line("Sent", "CONNECT %s with Host: %s", check.AllowedTarget, check.DeniedTarget)
	x.Line("Got", "%s", r)
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	x.Line("DNS", "%s", seen.DNS())
	x.Saw(oracle.ClientStatus).Expect([]int{200, 400}).To(ContainElement(r.Status), "answer: %s", r)
	for _, d := range seen.Dials() {
		x.Saw(oracle.OriginDial).Expect(d.Addr()).To(Equal(x.World.Addr(check.AllowedHost)), "an address that was reached")
	}
	x.Control(p, "after")
}
