// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"errors"
	"os"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func limitChecks() []check.Check {
	return []check.Check{
		{ID: "LIMIT-001.head-size", Summary: "a head without end is refused, not collected", Run: headSize},
		{ID: "LIMIT-002.head-time", Summary: "a head that does not come is given up on", Slow: true, Run: headTime},
		{ID: "LIMIT-002.not-evaluated", Summary: "a head that was given up on is not evaluated", Slow: true, Run: notEvaluated},
		{ID: "LIMIT-003.idle-clients", Summary: "100 clients that say nothing do not lock others out", Run: idleClients},
		{ID: "LIMIT-004.idle-tunnel", Summary: "a tunnel outlives the time-out of the head", Slow: true, Run: idleTunnel},
		{ID: "LIMIT-005.dribble", Summary: "a head that comes a byte at a time is given up on as well", Slow: true, Run: dribble},
	}
}

// headSize sends up to 4 MiB of head; a proxy with any bound answers or closes long before.
func headSize(x *check.X) {
	p := x.Core()
	x.Control(p, "before")
	mark := x.Mark()
	c := x.Client(p)
	c.Send("CONNECT " + check.AllowedTarget + " HTTP/1.1\r\nHost: " + check.AllowedTarget + "\r\n")
	field := strings.Repeat("X-Field: "+strings.Repeat("v", 1000)+"\r\n", 64)
	c.SetWriteDeadline(time.Now().Add(x.Bound()))
	for range 64 {
		if _, err := c.Write([]byte(field)); err != nil {
			break // refused while we were still talking: its answer may be lost with the rest
		}
	}
	r := c.AnswerWithin("CONNECT", x.Bound()/2)
	seen := x.Since(mark, p)
	x.Line("Got", "%s", r)
	x.Line("Origin", "%s", seen.Origin())
	noDial(x, seen)
	if r.TimedOut() {
		x.Fail(oracle.ClientStatus, "4 MiB of head were taken without an answer")
	}
	if r.Status != 0 {
		x.Saw(oracle.ClientStatus).Expect([]int{431, 400, 413, 414}).To(ContainElement(r.Status), "answer: %s", r)
	}
	x.Control(p, "after")
}

func headTime(x *check.X) {
	p := x.Core()
	c := x.Client(p)
	c.Send("CONNECT " + check.AllowedTarget + " HTTP/1.1\r\nHost: all")
	begin := time.Now()
	r := c.AnswerWithin("CONNECT", x.Patience())
	x.Line("Got", "%s after %v", r, time.Since(begin).Round(10*time.Millisecond))
	if r.TimedOut() {
		x.Fail(oracle.ClientStatus, "no answer and no end within %v; the head's time-out is %v", x.Patience(), x.HeadTimeout())
	}
	if r.Status != 0 {
		x.Saw(oracle.ClientStatus).Expect([]int{408, 400}).To(ContainElement(r.Status), "answer: %s", r)
	}
	x.Control(p, "after")
}

func notEvaluated(x *check.X) {
	p := x.Core()
	x.Control(p, "before")
	mark := x.Mark()
	c := x.Client(p)
	c.Send("CONNECT " + check.AllowedTarget + " HTTP/1.1\r\n")
	r := c.AnswerWithin("CONNECT", x.Patience())
	seen := x.Since(mark, p)
	x.Line("Got", "%s", r)
	x.Line("Origin", "%s", seen.Origin())
	noDial(x, seen)
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeFalse(), "answer: %s", r)
	x.Control(p, "after")
}

// idleClients is small on purpose: it is meant for proxies that serve a handful at a time. Inside a
// sandbox every client is a process.
func idleClients(x *check.X) {
	p := x.Core()
	n := 100
	if p.Addr == nil {
		n = 20
	}
	var idle []*check.Client
	for range n {
		idle = append(idle, x.Client(p))
	}
	c := x.Client(p)
	r := c.Ask(check.AllowedTarget)
	x.Line("Got", "%s with %d clients that say nothing", r, n)
	if r.Status == 503 || r.Status == 429 {
		// Full, and says so at once: then it has to recover when the others have gone.
		for _, i := range idle {
			i.Close()
		}
		x.Saw(oracle.ClientStatus).Eventually(func() bool {
			c = x.Client(p)
			r = c.Ask(check.AllowedTarget)
			return r.OK()
		}).WithTimeout(x.Bound()).Should(BeTrue(), "an answer once the idle clients have gone")
	}
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
	x.Saw(oracle.ClientStream).Expect(c.Echo("not locked out\n")).To(Succeed())
}

// idleTunnel reads from a silent tunnel for longer than the time-out of the head: the only thing that may
// happen is nothing.
func idleTunnel(x *check.X) {
	t := x.Tunnel(x.Core())
	t.SetReadDeadline(time.Now().Add(x.HeadTimeout() + x.HeadTimeout()/2))
	_, err := t.R.ReadByte()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		x.Fail(oracle.ClientStream, "an idle tunnel has ended: %v", err)
	}
	t.Send("awake")
	x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "awake")).To(Succeed())
}
