// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func chainFilterChecks() []check.Check {
	return needing(viaHTTP,
		check.Check{ID: "UPSTREAM-003.names", Summary: "names and ports that are not allowed are 403 here, and the upstream sees nothing", Run: chainRefused([]int{403},
			check.DeniedTarget, "sub.allowed.example.com:443", "allowed.example.com.evil.example.net:443", "allowed.example.com:22",
			"localhost:443", world.UpstreamName+":3128", "denied.example.net.:443", "DENIED.example.net:80")},
		check.Check{ID: "UPSTREAM-003.addresses", Summary: "so are addresses, special-purpose ones and the upstream's own among them", Run: chainRefused([]int{403, 400},
			"93.184.215.14:443", "127.0.0.1:443", "[::1]:443", "10.1.2.3:443", "10.20.30.40:3128", "169.254.169.254:80",
			"[::ffff:169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]:80", "192.168.1.1:443", "[fd12:3456::1]:443", "0.0.0.0:443",
			"2130706433:443", "0x7f.1:443", "127.1:443")},
		check.Check{ID: "UPSTREAM-003.malformed", Summary: "so are malformed targets", Run: chainRefused([]int{400, 403},
			"allowed.example.com", "user@allowed.example.com:443", "allowed.example.com:443:443", "allowed.example.com:0",
			"allowed.example.com%00.example.net:443", "allowed..example.com:443", "[allowed.example.com]:443")},
		check.Check{ID: "UPSTREAM-003.empty-policy", Summary: "with an empty policy the upstream sees nothing at all", Run: chainEmptyPolicy},
		check.Check{ID: "UPSTREAM-004.no-lookup", Summary: "the name server is not asked for names the upstream can look up", Run: chainNoLookup},
	)
}

// chainRefused asks for targets that the policy does not allow.
func chainRefused(status []int, targets ...string) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(world.WayHTTP, "core")
		x.Control(ch.Proxy, "before")
		for _, target := range targets {
			mustRefuse(x, hopTo(x, ch, target), status)
		}
		x.Line("Got", "%d targets refused here", len(targets))
		x.Control(ch.Proxy, "after")
	}
}

func mustRefuse(x *check.X, h hop, status []int) {
	if len(h.visits) > 0 {
		h.lines(x)
		x.Fail(oracle.Upstream, "%.80q is not allowed, and the upstream saw it: %s", h.target, visited(h.visits))
	}
	h.mustStay(x)
	noQuery(x, h.seen)
	if !slices.Contains(status, h.r.Status) {
		h.lines(x)
		x.Fail(oracle.ClientStatus, "%.80q: %s, want one of %v", h.target, h.r, status)
	}
}

func chainEmptyPolicy(x *check.X) {
	ch := x.Chain(world.WayHTTP, "none")
	x.Control(ch.Proxy, "before")
	for _, target := range []string{check.AllowedTarget, check.DeniedTarget, "93.184.215.14:443"} {
		mustRefuse(x, hopTo(x, ch, target), []int{403})
	}
	x.Control(ch.Proxy, "after")
}

func chainNoLookup(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	h := hopTo(x, ch, check.AllowedTarget)
	h.mustChain(x)
	x.Line("DNS", "%s", h.seen.DNS())
	noQuery(x, h.seen)
	if v := asked(h.visits)[0]; v.Literal {
		x.Fail(oracle.Upstream, "the upstream was asked for %s, want the name", v.Target)
	}
}
