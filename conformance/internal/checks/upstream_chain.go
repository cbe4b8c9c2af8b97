// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func chainChecks() []check.Check {
	return needing(viaHTTP,
		check.Check{ID: "UPSTREAM-001.tunnel", Summary: "an allowed tunnel is made by one request to the upstream, and comes from there", Run: chainTunnel},
		check.Check{ID: "UPSTREAM-001.request", Summary: "the request has the target, HTTP/1.1 and a Host field of the same name", Run: chainRequest},
		check.Check{ID: "UPSTREAM-001.unclaimed", Summary: "a backend that knows no upstreams and is given one returns an error", Unclaimed: "upstream", Run: refusesUpstream(world.WayHTTP, false)},
		check.Check{ID: "UPSTREAM-002.names", Summary: "names in every spelling, on every port, again and again go through the upstream", Run: chainNames},
		check.Check{ID: "UPSTREAM-002.ports", Summary: "so do names on other ports", Needs: []string{"port-rules"}, Run: chainTargets("ports",
			"second.example.org:8443", "every.example.com:22", "every.example.com:443")},
		check.Check{ID: "UPSTREAM-002.addresses", Summary: "so do addresses that are allowed", Needs: []string{"address-rules"}, Run: chainTargets("addresses",
			"93.184.215.20:443", "[2606:2800:21f::20]:8443", "10.1.2.3:443")},
		check.Check{ID: "UPSTREAM-002.parallel", Summary: "so do many tunnels at once", Run: chainParallel},
		check.Check{ID: "UPSTREAM-002.socket", Summary: "so does what comes through the socket", Needs: []string{"unix"}, Run: chainSocket},
		check.Check{ID: "UPSTREAM-002.sandbox", Summary: "so does what comes out of the sandbox", Needs: []string{"sandbox"}, Run: chainSandbox},
		check.Check{ID: "UPSTREAM-002.no-proxy", Summary: "NO_PROXY in the environment of the host makes no exception", Run: chainNoProxy},
	)
}

func chainTunnel(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	h := hopTo(x, ch, check.AllowedTarget)
	h.lines(x)
	h.mustChain(x)
}

func chainRequest(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	h := hopTo(x, ch, check.AllowedTarget)
	h.mustChain(x)
	v := asked(h.visits)[0]
	x.Line("Upstream", "%.300q", v.Head)
	address := x.World.Addr(check.AllowedHost).String() + ":443"
	if v.Target != check.AllowedTarget && v.Target != address {
		x.Fail(oracle.Upstream, "the upstream was asked for %q, want %s or %s", v.Target, check.AllowedTarget, address)
	}
	line, _, _ := strings.Cut(v.Head, "\r\n")
	if line != "CONNECT "+v.Target+" HTTP/1.1" {
		x.Fail(oracle.Upstream, "the request is %q", line)
	}
	if host := v.Field("Host"); len(host) != 1 || host[0] != v.Target && host[0] != check.AllowedTarget {
		x.Fail(oracle.Upstream, "the field Host is %q, want one, with the target", host)
	}
}

// chainNames asks again and again, since what is remembered of a name may be a way past the upstream. On port 80 no
// origin listens: what counts is who was asked.
func chainNames(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	for _, target := range []string{
		check.AllowedTarget, "second.example.org:443", check.AllowedTarget, "six.example.com:443", "ALLOWED.example.Com:443",
		"allowed.example.com.:443", check.AllowedTarget,
	} {
		hopTo(x, ch, target).mustChain(x)
	}
	h := hopTo(x, ch, check.AllowedHost+":80")
	h.mustStay(x)
	if len(asked(h.visits)) != 1 {
		h.lines(x)
		x.Fail(oracle.Upstream, "%s: the upstream was asked %d times, want once", h.target, len(asked(h.visits)))
	}
	hopTo(x, ch, check.AllowedTarget).mustChain(x)
	x.Line("Got", "every request was made through the upstream")
}

func chainTargets(policy string, targets ...string) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(world.WayHTTP, policy)
		for _, target := range targets {
			h := hopTo(x, ch, target)
			h.mustChain(x)
			x.Line("Upstream", "%s", visited(h.visits))
		}
	}
}

func chainParallel(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	mark, up := x.Mark(), x.UpMark(ch.Up)
	n := 10
	var all []*check.Client
	for range n {
		c := x.Client(ch.Proxy)
		c.Send(check.Head(check.AllowedTarget))
		all = append(all, c)
	}
	for i, c := range all {
		if r := c.AnswerWithin("CONNECT", x.Patience()); !r.OK() {
			x.Fail(oracle.ClientStatus, "tunnel %d of %d: %s", i+1, n, r)
		}
	}
	slices.Reverse(all)
	for _, c := range all {
		if err := c.Echo("one of many\n"); err != nil {
			x.Fail(oracle.ClientStream, "one of %d tunnels: %v", n, err)
		}
	}
	h := hop{target: check.AllowedTarget, seen: x.Since(mark, ch.Proxy), visits: x.Visits(ch.Up, up)}
	h.mustStay(x)
	if len(asked(h.visits)) != n || len(h.seen.Chained) != n {
		x.Fail(oracle.Upstream, "%d tunnels, and the upstream was asked %d times and connected %d times", n, len(asked(h.visits)), len(h.seen.Chained))
	}
}

func chainSocket(x *check.X) {
	c := x.Behind(world.WayHTTP, withSocket(socketDir(x)+"/s"))
	p := x.MustStart(c)
	q := through(x, p.SocketPath)
	hopTo(x, check.Chain{Proxy: q, Up: x.Upstream()}, check.AllowedTarget).mustChain(x)
}

func chainSandbox(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	mark, up := x.Mark(), x.UpMark(ch.Up)
	r := ask(x, ch.Proxy, probe.Action{Do: "proxy", Address: check.AllowedTarget})
	h := hop{target: check.AllowedTarget, seen: x.Since(mark, ch.Proxy), visits: x.Visits(ch.Up, up)}
	x.Line("Got", "%d, %s", r.Results[0].Status, r.Results[0].Detail)
	h.mustStay(x)
	if !r.Results[0].Done {
		x.Fail(oracle.Sandbox, "%s from inside, through the upstream: %s", check.AllowedTarget, r.Results[0].Detail)
	}
	if len(asked(h.visits)) != 1 || len(h.seen.Chained) != 1 {
		x.Fail(oracle.Upstream, "the upstream was asked %d times, want once", len(asked(h.visits)))
	}
}

// chainNoProxy starts an instance in an environment that excepts everything from its proxies.
func chainNoProxy(x *check.X) {
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		plant(x, name, "*,example.com,.example.com,0.0.0.0/0,::/0")
	}
	p := x.MustStart(x.Behind(world.WayHTTP, check.Config{Allow: []string{check.AllowedHost}}))
	x.Line("Sent", "CONNECT %s to an instance with NO_PROXY=*", check.AllowedTarget)
	hopTo(x, check.Chain{Proxy: p, Up: x.Upstream()}, check.AllowedTarget).mustChain(x)
}
