// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func connectChecks() []check.Check {
	return slices.Concat(
		[]check.Check{
			{ID: "CONNECT-001.tunnel", Summary: "an allowed host is reached and bytes go both ways", Run: tunnelWorks},
			{ID: "CONNECT-002.after-dial", Summary: "no 200 when the origin refuses the connection", Run: noEarlyAnswer},
			{ID: "CONNECT-003.client-half-close", Summary: "the client's end is passed on; the reply still comes", Run: tunnelled(clientHalfClose)},
			{ID: "CONNECT-003.origin-half-close", Summary: "the origin's end is passed on; the client can still send", Run: tunnelled(originHalfClose)},
			{ID: "CONNECT-004.one-segment", Summary: "bytes sent together with the head reach the origin first", Run: pipelined},
			{ID: "CONNECT-004.byte-by-byte", Summary: "a head in single bytes works, and what follows arrives", Run: byteByByte},
			{ID: "CONNECT-005.refused", Summary: "502 when the origin refuses", Run: dialFailure("refused.example.com:80")},
			{ID: "CONNECT-005.no-such-name", Summary: "502 when the name does not exist", Run: dialFailure("absent.example.com:443")},
			{ID: "CONNECT-005.name-server-fails", Summary: "502 when the name server fails", Run: dialFailure("servfail.example.com:443")},
			{ID: "CONNECT-005.no-address", Summary: "502 when the name has no address", Run: dialFailure("empty.example.com:443")},
			{ID: "CONNECT-006.banner", Summary: "an origin that speaks first is heard", Run: tunnelled(banner)},
			{ID: "CONNECT-007.no-framing", Summary: "the 200 announces no body and is HTTP/1.1", Run: plainAnswer},
		},
		table("CONNECT-008", "methods other than CONNECT"),
		[]check.Check{
			{ID: "CONNECT-008.allow", Summary: "the 405 says Allow: CONNECT", Run: allowField},
		},
		table("CONNECT-009", "CONNECT in another case"),
		[]check.Check{
			{ID: "CONNECT-010.host-proxy", Summary: "a proxy in the environment of the host is not used", Run: hostProxy},
		},
	)
}

func tunnelWorks(x *check.X) {
	p := x.Core()
	mark := x.Mark()
	t := x.Tunnel(p)
	x.Line("Sent", "CONNECT %s", check.AllowedTarget)
	x.Line("Got", "%d", t.Response.Status)
	x.Saw(oracle.ClientStatus).Expect(t.Response.Status).To(Equal(200), "the answer to an allowed CONNECT")
	t.Send("from the client\n")
	x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "from the client\n")).To(Succeed())
	fmt.Fprint(t.Origin, "from the origin\n")
	x.Saw(oracle.ClientStream).Expect(t.Expect("from the origin\n")).To(Succeed())
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	x.Saw(oracle.OriginDial).Expect(seen.Connections).To(HaveLen(1), "connections to origins")
}

func noEarlyAnswer(x *check.X) {
	p := x.Core()
	mark := x.Mark()
	r := x.Client(p).Ask("refused.example.com:80")
	x.Line("Sent", "CONNECT refused.example.com:80")
	x.Line("Got", "%s", r)
	if r.OK() {
		x.Fail(oracle.ClientStatus, "answered %d though the origin refuses the connection", r.Status)
	}
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	at := netip.AddrPortFrom(x.World.Addr("refused.example.com"), 80)
	mustTry(x, seen, at)
	x.Control(p, "after")
}

// tunnelled is a check of what happens in a tunnel that the proxy was asked for.
func tunnelled(body func(*check.X, *check.Tunnel)) func(*check.X) {
	return func(x *check.X) { body(x, x.Tunnel(x.Core())) }
}

func clientHalfClose(x *check.X, t *check.Tunnel) {
	t.Send("question")
	x.Saw(oracle.ClientStream).Expect(t.CloseWrite()).To(Succeed())
	got, err := x.OriginEnd(t.Origin)
	x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred())
	x.Saw(oracle.OriginStream).Expect(string(got)).To(Equal("question"))
	reply := strings.Repeat("reply ", 4000)
	fmt.Fprint(t.Origin, reply)
	t.Origin.CloseWrite()
	x.Saw(oracle.ClientStream).Expect(t.Expect(reply)).To(Succeed(), "the reply behind the client's end")
	rest, err := t.End(x.Bound())
	x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred())
	x.Saw(oracle.ClientStream).Expect(rest).To(BeEmpty(), "bytes behind the reply")
}

func originHalfClose(x *check.X, t *check.Tunnel) {
	fmt.Fprint(t.Origin, "all I have")
	t.Origin.CloseWrite()
	got, err := t.End(x.Bound())
	x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred())
	x.Saw(oracle.ClientStream).Expect(string(got)).To(Equal("all I have"))
	t.Send("still here")
	x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "still here")).To(Succeed(), "bytes behind the origin's end")
	t.CloseWrite()
	_, err = x.OriginEnd(t.Origin)
	x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred())
}

func pipelined(x *check.X) {
	p := x.Core()
	take := x.Take(check.AllowedTarget)
	c := x.Client(p)
	c.Send(check.Head(check.AllowedTarget) + "first bytes\r\n\r\n")
	r := c.Answer("CONNECT")
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
	origin := x.Next(take)
	x.Saw(oracle.OriginStream).Expect(x.Receive(origin, "first bytes\r\n\r\n")).To(Succeed())
	c.Send("second bytes")
	x.Saw(oracle.OriginStream).Expect(x.Receive(origin, "second bytes")).To(Succeed())
}

func byteByByte(x *check.X) {
	p := x.Core()
	take := x.Take(check.AllowedTarget)
	c := x.Client(p)
	head := check.Head(check.AllowedTarget)
	last := len(head) - 1
	for _, b := range []byte(head[:last]) {
		c.Send(string(b))
	}
	// In one write, so that a proxy which loses what it has read behind the head always loses this.
	c.Send(head[last:] + "first")
	r := c.Answer("CONNECT")
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
	x.Saw(oracle.OriginStream).Expect(x.Receive(x.Next(take), "first")).To(Succeed())
}

func dialFailure(target string) func(*check.X) {
	return func(x *check.X) {
		p := x.Core()
		c := x.Client(p)
		c.Send(check.Head(target))
		r := c.AnswerWithin("CONNECT", x.Patience())
		x.Line("Sent", "CONNECT %s", target)
		x.Line("Got", "%s", r)
		x.Saw(oracle.ClientStatus).Expect(r.Status).To(Equal(502), "the answer when the origin cannot be reached: %s", r)
		x.Control(p, "after")
	}
}

func banner(x *check.X, t *check.Tunnel) {
	const text = "220 origin.example ready\r\n"
	fmt.Fprint(t.Origin, text)
	x.Saw(oracle.ClientStream).Expect(t.Expect(text)).To(Succeed(), "a banner, before the client has sent a byte")
}

func plainAnswer(x *check.X) {
	t := x.Tunnel(x.Core())
	r := t.Response
	x.Saw(oracle.ClientAnswer).Expect(r.Proto).To(Equal("HTTP/1.1"), "version of the answer")
	x.Saw(oracle.ClientAnswer).Expect(r.Field("Content-Length")).To(BeEmpty(), "Content-Length in a 2xx to CONNECT, RFC 9110 section 9.3.6")
	x.Saw(oracle.ClientAnswer).Expect(r.Field("Transfer-Encoding")).To(BeEmpty(), "Transfer-Encoding in a 2xx to CONNECT")
}

func allowField(x *check.X) {
	c := x.Client(x.Core())
	c.Send("GET http://allowed.example.com/ HTTP/1.1\r\nHost: allowed.example.com\r\n\r\n")
	r := c.Answer("GET")
	x.Line("Got", "%s", r)
	x.Saw(oracle.ClientAnswer).Expect(r.Field("Allow")).To(Equal([]string{"CONNECT"}), "the field Allow")
}
