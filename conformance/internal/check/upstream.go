// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

// Chain is an instance behind the upstream, and the witness the upstream is.
type Chain struct {
	*Proxy
	Up *world.Upstream
}

// Upstream returns the world's upstream, as it always is when a check begins: listening, and good to everybody. It is
// put back into that state when the check is over.
func (x *X) Upstream() *world.Upstream {
	u, err := x.World.Upstream()
	if err != nil {
		x.Abort("%v", err)
	}
	x.Defer(func() {
		u.SetScript(world.Script{})
		if err := u.Up(); err != nil {
			x.Abort("%v", err)
		}
	})
	return u
}

// Behind is the configuration c behind the upstream.
func (x *X) Behind(way world.Way, c Config) Config {
	u := x.Upstream()
	c.Upstream = &Upstream{URL: u.URL(way)}
	if way == world.WayTLS {
		c.Upstream.CAFile = u.CAFile()
	}
	return c
}

// Chain returns the instance all checks share that runs one of the vectors' policies behind the upstream.
func (x *X) Chain(way world.Way, policy string) Chain {
	return Chain{x.Shared(policy+" behind "+string(way), x.Behind(way, x.PolicyConfig(policy))), x.Upstream()}
}

// UpMark is the present point of the upstream's record.
func (x *X) UpMark(u *world.Upstream) world.UpstreamMark {
	m, err := u.Mark(x.Ctx) // a witness, not the subject: it has all the time of the check
	if err != nil {
		x.Abort("%v", err)
	}
	return m
}

// Visits are the connections to the upstream since m.
func (x *X) Visits(u *world.Upstream, m world.UpstreamMark) []world.Visit {
	v, err := u.Since(x.Ctx, m)
	if err != nil {
		x.Abort("%v", err)
	}
	return v
}
