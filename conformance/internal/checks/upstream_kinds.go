// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func chainTLSChecks() []check.Check {
	return needing(viaTLS,
		check.Check{ID: "UPSTREAM-017.tunnel", Summary: "an https upstream is spoken to in TLS, by its name, and the tunnel stands", Run: tlsTunnel},
		check.Check{ID: "UPSTREAM-017.half-close", Summary: "both ends of a half-close pass it", Run: chainHalfClose(world.WayTLS)},
		check.Check{ID: "UPSTREAM-017.down", Summary: "when it is down nothing is connected to directly", Run: chainDown(world.WayTLS)},
		check.Check{ID: "UPSTREAM-017.unclaimed", Summary: "a backend that knows no https upstreams and is given one returns an error", Unclaimed: "upstream-tls", Run: refusesUpstream(world.WayTLS, false)},
		check.Check{ID: "UPSTREAM-018.wrong-name", Summary: "a certificate for another name: no request, no tunnel", Run: tlsCertificate(world.WrongName)},
		check.Check{ID: "UPSTREAM-018.unknown-authority", Summary: "a certificate nobody vouches for: no request, no tunnel", Run: tlsCertificate(world.UnknownAuthority)},
		check.Check{ID: "UPSTREAM-018.expired", Summary: "a certificate that has expired: no request, no tunnel", Run: tlsCertificate(world.Expired)},
		check.Check{ID: "UPSTREAM-018.clear-text", Summary: "an https upstream that speaks no TLS: nothing in clear text, no tunnel", Run: tlsClear},
	)
}

func tlsTunnel(x *check.X) {
	ch := x.Chain(world.WayTLS, "core")
	h := hopTo(x, ch, check.AllowedTarget)
	h.lines(x)
	mustBeTLS(x, h)
	h.mustChain(x)
	if v := asked(h.visits)[0]; v.SNI != world.UpstreamName {
		x.Fail(oracle.Upstream, "TLS was begun for the name %q, want %s", v.SNI, world.UpstreamName)
	}
	hopTo(x, ch, check.AllowedTarget).mustChain(x)
}

// mustBeTLS fails the check when something came in clear text.
func mustBeTLS(x *check.X, h hop) {
	for _, v := range h.visits {
		if v.First != "" {
			h.lines(x)
			x.Fail(oracle.Upstream, "in clear text at the door for TLS: %.200q", v.First)
		}
	}
}

func tlsCertificate(what world.Certificate) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(world.WayTLS, "core")
		x.Control(ch.Proxy, "before")
		ch.Up.SetScript(world.Script{Certificate: what})
		h := hopTo(x, ch, check.AllowedTarget)
		h.lines(x)
		mustBeTLS(x, h)
		if n := len(asked(h.visits)); n > 0 {
			x.Fail(oracle.Upstream, "an upstream that cannot prove who it is was sent the request")
		}
		h.mustFail(x, "the upstream cannot prove who it is")
		chainControl(x, ch)
	}
}

func tlsClear(x *check.X) {
	ch := x.Chain(world.WayTLS, "core")
	x.Control(ch.Proxy, "before")
	ch.Up.SetScript(world.Script{Clear: true, Refuse: true, Answer: "HTTP/1.1 200 OK\r\n\r\n"})
	h := hopTo(x, ch, check.AllowedTarget)
	h.lines(x)
	mustBeTLS(x, h)
	h.mustFail(x, "the upstream speaks no TLS")
	chainControl(x, ch)
}

func chainSocksChecks() []check.Check {
	const open = "\x05\x00\x00"
	return needing(viaSOCKS,
		check.Check{ID: "UPSTREAM-019.name", Summary: "a socks5h upstream is sent the name, and the name server is not asked", Run: socksName},
		check.Check{ID: "UPSTREAM-019.addresses", Summary: "addresses that are allowed go as addresses", Needs: []string{"address-rules"}, Run: socksAddresses},
		check.Check{ID: "UPSTREAM-019.bound", Summary: "every form of the address it says it is bound to is skipped, and what follows arrives", Run: socksBound},
		check.Check{ID: "UPSTREAM-019.half-close", Summary: "both ends of a half-close pass it", Run: chainHalfClose(world.WaySOCKS)},
		check.Check{ID: "UPSTREAM-019.down", Summary: "when it is down nothing is connected to directly", Run: chainDown(world.WaySOCKS)},
		check.Check{ID: "UPSTREAM-019.filtered", Summary: "targets that are not allowed are refused here", Run: socksFiltered},
		check.Check{ID: "UPSTREAM-019.credentials", Summary: "credentials are those of RFC 1929", Needs: []string{"upstream-auth"}, Run: credentialsSent(world.WaySOCKS)},
		check.Check{ID: "UPSTREAM-019.unclaimed", Summary: "a backend that knows no socks5h upstreams and is given one returns an error", Unclaimed: "upstream-socks5h", Run: refusesUpstream(world.WaySOCKS, false)},
		check.Check{ID: "UPSTREAM-020.refused", Summary: "a reply other than 0 makes no tunnel", Run: socksReplies(
			"\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00",
			"\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\xff\x00\x01\x00\x00\x00\x00\x00\x00")},
		check.Check{ID: "UPSTREAM-020.cut", Summary: "nor does half a reply, or none", Run: socksReplies(
			"", "\x05", "\x05\x00", open, open+"\x01", open+"\x01\x00\x00\x00\x00\x00", open+"\x03", open+"\x03\x05gate", open+"\x04\x00\x00\x00\x00")},
		check.Check{ID: "UPSTREAM-020.garbage", Summary: "nor does what is no SOCKS 5", Run: socksReplies(
			"HTTP/1.1 200 OK\r\n\r\n", "\x04\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x00\x5a\x00\x00\x00\x00\x00\x00\x00\x00", open+"\x02\x00\x00\x00\x00\x00\x00")},
		check.Check{ID: "UPSTREAM-020.method", Summary: "nor does an answer to the greeting that was not offered, or is none", Run: socksMethods},
		check.Check{ID: "UPSTREAM-020.login", Summary: "nor do credentials that are not taken", Needs: []string{"upstream-auth"}, Run: socksLogin},
	)
}

func socksName(x *check.X) {
	ch := x.Chain(world.WaySOCKS, "core")
	for range 2 {
		h := hopTo(x, ch, check.AllowedTarget)
		h.lines(x)
		x.Line("DNS", "%s", h.seen.DNS())
		h.mustChain(x)
		noQuery(x, h.seen)
		if v := asked(h.visits)[0]; v.Literal || v.Target != check.AllowedTarget {
			x.Fail(oracle.Upstream, "the upstream was asked for %s, want the name %s", v.Target, check.AllowedTarget)
		}
	}
}

func socksAddresses(x *check.X) {
	ch := x.Chain(world.WaySOCKS, "addresses")
	for _, target := range []string{"93.184.215.20:443", "[2606:2800:21f::20]:8443"} {
		h := hopTo(x, ch, target)
		h.mustChain(x)
		if v := asked(h.visits)[0]; !v.Literal || v.Target != target {
			h.lines(x)
			x.Fail(oracle.Upstream, "the upstream was asked for %s, want the address %s", v.Target, target)
		}
	}
}

func socksBound(x *check.X) {
	for _, bound := range []string{"\x01\x0a\x14\x1e\x28\x12\x34", "\x04" + strings.Repeat("\xfd", 16) + "\x12\x34", "\x03\x04gate\x12\x34"} {
		chainBehind(world.WaySOCKS, "\x05\x00\x00"+bound)(x)
	}
}

func socksFiltered(x *check.X) {
	ch := x.Chain(world.WaySOCKS, "core")
	x.Control(ch.Proxy, "before")
	for _, target := range []string{check.DeniedTarget, "allowed.example.com:22", "93.184.215.14:443", "169.254.169.254:80", "[::1]:443"} {
		mustRefuse(x, hopTo(x, ch, target), []int{403})
	}
	x.Control(ch.Proxy, "after")
}

// socksReplies lets the upstream answer the request with bytes that open no tunnel, and then end the connection.
func socksReplies(replies ...string) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(world.WaySOCKS, "core")
		x.Control(ch.Proxy, "before")
		for _, reply := range replies {
			refusing(x, ch, reply, fmt.Sprintf("the upstream replies %q and ends", reply))
		}
		x.Line("Got", "%d replies, no tunnel", len(replies))
		chainControl(x, ch)
	}
}

func socksMethods(x *check.X) {
	ch := x.Chain(world.WaySOCKS, "core")
	x.Control(ch.Proxy, "before")
	for _, method := range []string{"\x05\xff", "\x05\x01", "\x05\x80", "\x04\x00", "HTTP/1.1 200 OK\r\n\r\n"} {
		ch.Up.SetScript(world.Script{Method: method})
		h := hopTo(x, ch, check.AllowedTarget)
		h.mustFail(x, fmt.Sprintf("the upstream answers the greeting with %q", method))
	}
	chainControl(x, ch)
}

// socksLogin lets the upstream say no to the credentials and serve all the same, so that nothing but the answer can
// keep the proxy from going on.
func socksLogin(x *check.X) {
	ch := authChain(x, world.WaySOCKS)
	x.Control(ch.Proxy, "before")
	for _, login := range []string{"\x01\x01", "\x01\xff"} {
		ch.Up.SetScript(world.Script{Login: login})
		hopTo(x, ch, check.AllowedTarget).mustFail(x, fmt.Sprintf("the upstream answers the credentials with %q", login))
	}
	ch.Up.SetScript(world.Script{User: upUser, Password: upPassword})
	x.Control(ch.Proxy, "after")
}

func chainUnixChecks() []check.Check {
	return needing(viaUnix,
		check.Check{ID: "UPSTREAM-021.tunnel", Summary: "an upstream at a unix socket makes the tunnel", Run: unixTunnel},
		check.Check{ID: "UPSTREAM-021.half-close", Summary: "both ends of a half-close pass it", Run: chainHalfClose(world.WayUnix)},
		check.Check{ID: "UPSTREAM-021.down", Summary: "when it is gone nothing is connected to directly", Run: chainDown(world.WayUnix)},
		check.Check{ID: "UPSTREAM-021.unclaimed", Summary: "a backend that knows no sockets of upstreams and is given one returns an error", Unclaimed: "upstream-unix", Run: refusesUpstream(world.WayUnix, false)},
	)
}

func unixTunnel(x *check.X) {
	ch := x.Chain(world.WayUnix, "core")
	x.Control(ch.Proxy, "before")
	h := hopTo(x, ch, check.AllowedTarget)
	h.lines(x)
	h.mustChain(x)
	mustRefuse(x, hopTo(x, ch, check.DeniedTarget), []int{403})
	x.Saw(oracle.Upstream).Expect(asked(h.visits)[0].Way).To(Equal(world.WayUnix))
}
