// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func chainStartChecks() []check.Check {
	return needing(viaHTTP,
		check.Check{ID: "UPSTREAM-022.empty", Summary: "an upstream without a URL is an error at the start", Run: badURLs("", " ")},
		check.Check{ID: "UPSTREAM-022.scheme", Summary: "so is one without a scheme, or with one that is none of the four", Run: badURLs(
			upstreamNowhere, "10.20.30.40", "//"+upstreamNowhere, "ftp://"+upstreamNowhere, "socks4://"+upstreamNowhere,
			"socks5://"+upstreamNowhere, "file:///etc/hosts", "direct://", "DIRECT", "http:"+upstreamNowhere, "http//"+upstreamNowhere, "http")},
		check.Check{ID: "UPSTREAM-022.host", Summary: "so is one without a host", Run: badURLs(
			"http://", "http:///", "http://:3128", "https://", "socks5h://", "unix://", "unix://relative/path", "http://[::1", "http://[]:3128")},
		check.Check{ID: "UPSTREAM-022.port", Summary: "so is one with a port there is not", Run: badURLs(
			"http://10.20.30.40:0", "http://10.20.30.40:65536", "http://10.20.30.40:-1", "http://10.20.30.40:http-alt", "http://10.20.30.40:3128:1")},
		check.Check{ID: "UPSTREAM-022.characters", Summary: "so is one with spaces or control characters", Run: badURLs(
			"http://10.20.30.40 :3128", "http://10.20.30.40:3128\r\nX-Injected: 1", "http://10.20.30.40\x00:3128", "http://10.20.30.40\t:3128", "http://10.20. 30.40:3128")},
	)
}

// upstreamNowhere is an address where nobody listens.
const upstreamNowhere = "10.20.30.41:3128"

// badURLs starts instances with URLs that are none: each has to be an error. One that runs all the same is asked for
// a tunnel, since the worst that can have become of a URL is no upstream at all.
func badURLs(urls ...string) func(*check.X) {
	return func(x *check.X) {
		good := x.MustStart(x.Behind(world.WayHTTP, check.Config{Allow: []string{check.AllowedHost}}))
		x.Control(good, "with a good URL")
		for _, url := range urls {
			mustNotStart(x, url, check.Config{Allow: []string{check.AllowedHost}, Upstream: &check.Upstream{URL: url}})
		}
		x.Line("Got", "%d URLs, no start", len(urls))
	}
}

func mustNotStart(x *check.X, what string, c check.Config) {
	p, err := x.Start(c)
	if err != nil {
		return
	}
	h := hopTo(x, check.Chain{Proxy: p, Up: x.Upstream()}, check.AllowedTarget)
	h.lines(x)
	if len(h.seen.Dials()) > 0 {
		x.Fail(oracle.OriginDial, "started with the upstream %q, and goes past it: %s", what, h.seen.Origin())
	}
	x.Fail(oracle.Lifecycle, "started with the upstream %q", what)
}

// refusesUpstream is the check of backends that do not claim a kind of upstream: to go on without it would be to go
// another way than their operator has said.
func refusesUpstream(way world.Way, credentials bool) func(*check.X) {
	return func(x *check.X) {
		c := x.Behind(way, x.PolicyConfig("core"))
		if credentials {
			c.Upstream.User, c.Upstream.Password = upUser, upPassword
		}
		mustNotStart(x, c.Upstream.URL, c)
	}
}
