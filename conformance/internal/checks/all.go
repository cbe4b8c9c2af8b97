// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package checks is the table of all checks, one area of the specification a file. A body skips nothing,
// sleeps never, matches no error text and uses no network but the world it is given.
package checks

import (
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// All returns the table in the order of the specification.
func All() []check.Check {
	return slices.Concat(
		connectChecks(), denyChecks(), hostChecks(), addressChecks(), portChecks(), headChecks(), relayChecks(),
		limitChecks(), lifeChecks(), bridgeChecks(), sandboxChecks(), transparentChecks(), upstreamChecks(), externalChecks(),
	)
}

// table makes the two checks of a table whose cases are all refused: one of them looks at what reached
// the world and holds for every proxy however it words its refusal, the other at the answer.
func table(group, what string, needs ...string) []check.Check {
	return []check.Check{
		{
			ID: group + ".contained", Summary: what + ": no tunnel, nothing resolved, nothing dialled", Needs: needs,
			Run: func(x *check.X) { x.Judge(x.Observe(group), oracle.Contained) },
		},
		{
			ID: group + ".status", Summary: what + ": refused with the status required", Needs: needs,
			Run: func(x *check.X) { x.Judge(x.Observe(group), oracle.Answered) },
		},
	}
}

// allowedTable makes the check of a table whose cases are all allowed.
func allowedTable(group, what string) []check.Check {
	return []check.Check{{
		ID: group + ".tunnel", Summary: what + ": a tunnel that carries bytes, to the right origin",
		Run: func(x *check.X) { x.Judge(x.Observe(group), oracle.Allowed) },
	}}
}

// mixedTable makes the checks of a table of both kinds, for features of the policy.
func mixedTable(group, what, feature string) []check.Check {
	pick := func(want vectors.Verdict, x *check.X) []check.Observation {
		return slices.DeleteFunc(slices.Clone(x.Observe(group)), func(o check.Observation) bool {
			return o.Case.Want != want
		})
	}
	needs := []string{}
	if feature != "" {
		needs = append(needs, feature)
	}
	return []check.Check{
		{
			ID: group + ".tunnel", Summary: what + ": what is admitted is reached", Needs: needs,
			Run: func(x *check.X) { x.Judge(pick(vectors.Allow, x), oracle.Allowed) },
		},
		{
			ID: group + ".contained", Summary: what + ": what is not admitted reaches nothing", Needs: needs,
			Run: func(x *check.X) { x.Judge(pick(vectors.Deny, x), oracle.Contained) },
		},
		{
			ID: group + ".status", Summary: what + ": what is not admitted gets the status required", Needs: needs,
			Run: func(x *check.X) { x.Judge(pick(vectors.Deny, x), oracle.Answered) },
		},
	}
}

// unclaimed makes the check of a policy feature the backend does not claim: a line that needs it is an
// error at the start, or admits nothing. A boundary that ignores what it does not understand is open.
func unclaimed(group, what, feature string) check.Check {
	return check.Check{
		ID: group + ".unclaimed", Summary: what + ", not claimed: refused at the start, or admits nothing it must not",
		Unclaimed: feature,
		Run: func(x *check.X) {
			cases := x.Cases(group)
			p, err := x.Start(x.PolicyConfig(cases[0].Policy))
			if err != nil {
				x.Line("Got", "the start was refused: %v", err)
				return
			}
			denied := slices.DeleteFunc(cases, func(c check.Case) bool { return c.Want != vectors.Deny })
			x.Judge(x.Try(p, denied), oracle.Contained)
		},
	}
}
