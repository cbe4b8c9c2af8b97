// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func denyChecks() []check.Check {
	return slices.Concat(
		[]check.Check{
			{ID: "DENY-001.no-tunnel", Summary: "a host that is not allowed gets no tunnel", Run: denial(func(x *check.X, r probe.Response, _ world.Seen) {
				x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeFalse(), "answer: %s", r)
			})},
			{ID: "DENY-002.no-dial", Summary: "a refused destination receives no connection and no packet", Run: denial(func(x *check.X, _ probe.Response, s world.Seen) {
				noDial(x, s)
			})},
			{ID: "DENY-002.no-lookup", Summary: "a refused destination is not asked for in DNS", Run: denial(func(x *check.X, _ probe.Response, s world.Seen) {
				noQuery(x, s)
			})},
			{ID: "DENY-003.status", Summary: "the refusal is 403", Run: denial(func(x *check.X, r probe.Response, _ world.Seen) {
				x.Saw(oracle.ClientStatus).Expect(r.Status).To(Equal(403), "answer: %s", r)
			})},
			{ID: "DENY-003.complete", Summary: "the refusal is a whole HTTP response", Run: denial(completeRefusal)},
			{ID: "DENY-004.zero-policy", Summary: "the empty policy refuses everything", Run: zeroPolicy},
			{ID: "DENY-005.next-request", Summary: "a further request on the same connection is judged for itself", Run: nextRequest},
			{ID: "DENY-006.names-target", Summary: "the refusal names the target", Run: denial(func(x *check.X, r probe.Response, _ world.Seen) {
				host, _, _ := strings.Cut(check.DeniedTarget, ":")
				x.Saw(oracle.ClientAnswer).Expect(string(r.Body)).To(ContainSubstring(host), "body of the refusal")
			})},
			{ID: "DENY-007.proxy-status", Summary: "the refusal carries Proxy-Status with the reason", Needs: []string{"reasons"}, Run: denial(proxyStatus)},
		},
		mixedTable("DENY-008", "deny lines", "deny-rules"),
		[]check.Check{unclaimed("DENY-008", "deny lines", "deny-rules")},
		[]check.Check{
			{ID: "DENY-009.bad-line", Summary: "a policy line that cannot be understood is an error at the start", Run: badLine},
			{ID: "DENY-010.reflection", Summary: "a refusal gives back nothing of the target that could do harm", Run: reflection},
			{ID: "DENY-011.standing", Summary: "behind a refusal the connection serves the next request, or ends", Run: standing},
		},
	)
}

// denial asks once for a host that is not allowed, with the control before and after, and hands what both
// witnesses saw to the verdict.
func denial(verdict func(*check.X, probe.Response, world.Seen)) func(*check.X) {
	return func(x *check.X) {
		p := x.Core()
		x.Control(p, "before")
		mark := x.Mark()
		r := x.Client(p).Ask(check.DeniedTarget)
		seen := x.Since(mark, p)
		x.Line("Sent", "CONNECT %s", check.DeniedTarget)
		x.Line("Got", "%s", r)
		x.Line("Origin", "%s", seen.Origin())
		x.Line("DNS", "%s", seen.DNS())
		x.Control(p, "after")
		verdict(x, r, seen)
	}
}

func completeRefusal(x *check.X, r probe.Response, _ world.Seen) {
	x.Saw(oracle.ClientAnswer).Expect(r.Complete).To(BeTrue(), "the refusal must come whole, was: %s", r)
	x.Saw(oracle.ClientAnswer).Expect(r.OK()).To(BeFalse(), "answer: %s", r)
}

func zeroPolicy(x *check.X) {
	p := x.Policy("none")
	x.Control(p, "before")
	mark := x.Mark()
	for _, target := range []string{check.AllowedTarget, check.DeniedTarget, "127.0.0.1:443", "localhost:443"} {
		r := x.Client(p).Ask(target)
		x.Line("Sent", "CONNECT %s", target)
		x.Line("Got", "%s", r)
		x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeFalse(), "%s: answer %s", target, r)
	}
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	x.Line("DNS", "%s", seen.DNS())
	noDial(x, seen)
	noQuery(x, seen)
	x.Control(p, "after")
}

// nextRequest sends two requests in one go: whether the proxy closes behind the first refusal or not, the
// second destination must not be reached.
func nextRequest(x *check.X) {
	p := x.Core()
	x.Control(p, "before")
	mark := x.Mark()
	c := x.Client(p)
	first := c.Ask(check.DeniedTarget)
	x.Line("Got", "%s", first)
	c.Send(check.Head("other.example.net:443"))
	second := c.Answer("CONNECT")
	x.Line("Got", "then %s", second)
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	noDial(x, seen)
	x.Saw(oracle.ClientStatus).Expect(second.OK()).To(BeFalse(), "answer to the second request: %s", second)
	x.Control(p, "after")
}

func proxyStatus(x *check.X, r probe.Response, _ world.Seen) {
	values := r.Field("Proxy-Status")
	x.Saw(oracle.ClientAnswer).Expect(values).To(HaveLen(1), "fields Proxy-Status")
	x.Saw(oracle.ClientAnswer).Expect(values[0]).To(ContainSubstring("error=http_request_denied"), "RFC 9209 section 2.3.24")
	x.Saw(oracle.ClientAnswer).Expect(values[0]).To(ContainSubstring("host_not_allowed"), "the reason in details")
}

func badLine(x *check.X) {
	for _, line := range []string{"https://allowed.example.com", "allowed.example.com:99999", ".example.com", "allowed..example.com", "a b"} {
		p, err := x.Start(check.Config{Allow: []string{check.AllowedHost, line}})
		x.Line("Got", "%q: %v", line, err)
		if err == nil {
			p.End()
			x.Note(oracle.Lifecycle, "an instance runs with the policy line %q", line)
		}
	}
	x.Control(x.Core(), "after")
}
