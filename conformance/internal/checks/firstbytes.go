// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

// onlyClientBytes sends credentials meant for the proxy and looks for them, and all else that the client has not
// sent behind its head, at the origin.
func onlyClientBytes(x *check.X) {
	p := x.Core()
	take := x.Take(check.AllowedTarget)
	c := x.Client(p)
	c.Send("CONNECT " + check.AllowedTarget + " HTTP/1.1\r\nHost: " + check.AllowedTarget +
		"\r\nProxy-Authorization: Basic Y2xpZW50OnByb3h5\r\n\r\n")
	r := c.Answer("CONNECT")
	x.Line("Sent", "CONNECT %s with Proxy-Authorization", check.AllowedTarget)
	x.Line("Got", "%s", r)
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
	origin := x.Next(take)
	c.Send("only this")
	x.Saw(oracle.OriginStream).Expect(x.Receive(origin, "only this")).To(Succeed())
	x.Saw(oracle.ClientStream).Expect(c.CloseWrite()).To(Succeed())
	rest, _ := x.OriginEnd(origin) // that the end is passed on is another requirement
	x.Saw(oracle.OriginStream).Expect(rest).To(BeEmpty(), "bytes the client has not sent")
}

// firstBytes writes the moment the 200 is there, often: a proxy that takes the connection over from an HTTP library
// may lose what arrives just then. Inside a sandbox every client is a process.
func firstBytes(x *check.X) {
	p := x.Core()
	n := 200
	if p.Addr == nil {
		n = 10
	}
	for i := range n {
		c := x.Client(p)
		r := c.Ask("second.example.org:443")
		x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "tunnel %d: %s", i+1, r)
		x.Saw(oracle.ClientStream).Expect(c.Echo(fmt.Sprintf("first bytes of tunnel %d\n", i+1))).To(Succeed(), "tunnel %d", i+1)
		c.Close()
	}
	x.Line("Got", "%d tunnels, none lost its first bytes", n)
}

// dribble sends a head that never ends, a byte at a time: each comes well within the time-out, the head does not.
func dribble(x *check.X) {
	p := x.Core()
	c := x.Client(p)
	c.Send("CONNECT " + check.AllowedTarget + " HTTP/1.1\r\nHost: ")
	begin := time.Now()
	for time.Since(begin) < x.Patience() {
		c.SetReadDeadline(time.Now().Add(x.HeadTimeout() / 8))
		if _, err := c.R.Peek(1); !isTimeout(err) {
			break
		}
		c.Send("a")
	}
	r := c.AnswerWithin("CONNECT", x.HeadTimeout()/8)
	x.Line("Got", "%s after %v", r, time.Since(begin).Round(10*time.Millisecond))
	if r.TimedOut() {
		x.Fail(oracle.ClientStatus, "no answer and no end within %v; the head's time-out is %v", x.Patience(), x.HeadTimeout())
	}
	if r.Status != 0 {
		x.Saw(oracle.ClientStatus).Expect([]int{408, 400}).To(ContainElement(r.Status), "answer: %s", r)
	}
	x.Control(p, "after")
}
