// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func chainStreamChecks() []check.Check {
	return needing(viaHTTP,
		check.Check{ID: "UPSTREAM-014.behind", Summary: "bytes in one segment with the upstream's answer reach the client", Run: chainBehind(world.WayHTTP, "")},
		check.Check{ID: "UPSTREAM-014.segments", Summary: "an answer in several segments opens the tunnel", Run: chainPieces},
		check.Check{ID: "UPSTREAM-014.framing", Summary: "Content-Length and Transfer-Encoding of a 2xx mean nothing", Run: chainFraming},
		check.Check{ID: "UPSTREAM-015.half-close", Summary: "both ends of a half-close pass the chain", Run: chainHalfClose(world.WayHTTP)},
		check.Check{ID: "UPSTREAM-015.bytes", Summary: "four MiB each way arrive as they were sent", Run: chainBytes},
		check.Check{ID: "UPSTREAM-016.client-end", Summary: "Stop ends tunnels of the chain towards the client", Run: chainStop(true)},
		check.Check{ID: "UPSTREAM-016.upstream-end", Summary: "and towards the upstream", Run: chainStop(false)},
	)
}

// chainBehind lets the upstream send bytes, those of an origin that speaks first, in one write with its answer.
func chainBehind(way world.Way, head string) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(way, "core")
		const banner = "220 origin.example ready\r\n\r\n"
		ch.Up.SetScript(world.Script{Head: head, Behind: banner})
		c := x.Client(ch.Proxy)
		r := c.Ask(check.AllowedTarget)
		x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
		x.Saw(oracle.ClientStream).Expect(c.Expect(banner)).To(Succeed(), "bytes behind the upstream's answer")
		x.Saw(oracle.ClientStream).Expect(c.Echo("then an echo\n")).To(Succeed())
	}
}

func chainPieces(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	ch.Up.SetScript(world.Script{Pieces: true})
	c := x.Client(ch.Proxy)
	r := c.Ask(check.AllowedTarget)
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
	x.Saw(oracle.ClientStream).Expect(c.Echo("an echo\n")).To(Succeed())
}

// chainFraming announces bodies that RFC 9110 section 9.3.6 makes meaningless: the tunnel begins behind the head.
func chainFraming(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 201 Created\r\n\r\n", "HTTP/1.1 200 \r\n\r\n",
	} {
		const banner = "5\r\nhello\r\n0\r\n\r\n"
		ch.Up.SetScript(world.Script{Head: head, Behind: banner})
		c := x.Client(ch.Proxy)
		r := c.Ask(check.AllowedTarget)
		x.Line("Upstream", "answered %q", head)
		x.Line("Got", "%s", r)
		x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "the upstream answered %q: %s", head, r)
		x.Saw(oracle.ClientStream).Expect(c.Expect(banner)).To(Succeed(), "bytes behind %q", head)
		x.Saw(oracle.ClientStream).Expect(c.Echo("then an echo\n")).To(Succeed())
		c.Close()
	}
}

func chainHalfClose(way world.Way) func(*check.X) {
	return func(x *check.X) {
		t := x.Tunnel(x.Chain(way, "core").Proxy)
		t.Send("question")
		x.Saw(oracle.ClientStream).Expect(t.CloseWrite()).To(Succeed())
		got, err := x.OriginEnd(t.Origin)
		x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred(), "the client's end")
		x.Saw(oracle.OriginStream).Expect(string(got)).To(Equal("question"))
		reply := strings.Repeat("reply ", 4000)
		fmt.Fprint(t.Origin, reply)
		t.Origin.CloseWrite()
		x.Saw(oracle.ClientStream).Expect(t.Expect(reply)).To(Succeed(), "the reply behind the client's end")
		_, err = t.End(x.Bound())
		x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred(), "the origin's end")
	}
}

func chainBytes(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	up := x.Tunnel(ch.Proxy)
	up.SetWriteDeadline(time.Now().Add(x.Patience()))
	up.Origin.SetReadDeadline(time.Now().Add(x.Patience()))
	carry(x, oracle.OriginStream, up.Conn, up.CloseWrite, up.Origin)
	up.Origin.Reset()
	take := x.Take("second.example.org:443")
	c := x.Client(ch.Proxy)
	r := c.Ask("second.example.org:443")
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
	origin := x.Next(take)
	c.SetReadDeadline(time.Now().Add(x.Patience()))
	origin.SetWriteDeadline(time.Now().Add(x.Patience()))
	carry(x, oracle.ClientStream, origin, origin.CloseWrite, c.R)
}

// chainStop stops an instance with a tunnel through the upstream.
func chainStop(client bool) func(*check.X) {
	return func(x *check.X) {
		p := x.MustStart(x.Behind(world.WayHTTP, check.Config{Allow: []string{check.AllowedHost}}))
		u := x.Upstream()
		mark := x.UpMark(u)
		t := x.Tunnel(p)
		t.Send("x")
		x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "x")).To(Succeed())
		mustEnd(x, p)
		if client {
			rest, err := t.End(x.Bound())
			x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred(), "the tunnel after Stop")
			x.Saw(oracle.ClientStream).Expect(bytes.TrimSpace(rest)).To(BeEmpty(), "bytes after Stop")
			return
		}
		_, err := x.OriginEnd(t.Origin)
		x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred(), "the upstream's connection to the origin after Stop")
		t.Origin.Close()
		mustBeOver(x, x.Visits(u, mark))
	}
}
