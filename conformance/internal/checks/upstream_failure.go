// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func chainFailureChecks() []check.Check {
	return needing(viaHTTP,
		check.Check{ID: "UPSTREAM-005.down", Summary: "an upstream that is down is 502, and nothing is connected to directly", Run: chainDown(world.WayHTTP)},
		check.Check{ID: "UPSTREAM-005.again", Summary: "once it is back everything works again", Run: chainAgain},
		check.Check{ID: "UPSTREAM-006.status", Summary: "an answer that is not 2xx makes no tunnel", Run: chainStatus},
		check.Check{ID: "UPSTREAM-006.interim", Summary: "nor does an interim answer that nothing follows", Run: chainAnswers(
			"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: tunnel\r\nConnection: Upgrade\r\n\r\n",
			"HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 199 OK\r\n\r\n")},
		check.Check{ID: "UPSTREAM-006.ended", Summary: "the connection to an upstream that has refused is ended", Run: chainEnded},
		check.Check{ID: "UPSTREAM-007.nothing-shown", Summary: "nothing of an upstream's refusal reaches the client", Run: chainNothingShown},
		check.Check{ID: "UPSTREAM-008.cut", Summary: "an answer that ends in its head makes no tunnel", Run: chainAnswers(
			"HTTP/1.1 200 OK\r\nVia: corp\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r", "HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 2", "")},
		check.Check{ID: "UPSTREAM-008.garbage", Summary: "nor does what is no HTTP answer", Run: chainAnswers(
			"hello\r\n\r\n", "200 OK\r\n\r\n", "<html>200 OK</html>\r\n\r\n", "SSH-2.0-corp\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
			"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 -200 OK\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x28", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")},
		check.Check{ID: "UPSTREAM-009.line", Summary: "a line of the head without end is given up", Run: chainFlood("X-Padding: ", "a")},
		check.Check{ID: "UPSTREAM-009.fields", Summary: "so are fields without end", Run: chainFlood("", "X-Padding: aaaaaaaa\r\n")},
		check.Check{ID: "UPSTREAM-009.interim", Summary: "so are interim answers without end", Run: chainFlood("", "\r\nHTTP/1.1 100 Continue\r\n")},
		check.Check{ID: "UPSTREAM-010.silent", Summary: "an upstream that takes the request and says nothing is given up in time", Run: chainSlow(world.Hold, "")},
		check.Check{ID: "UPSTREAM-010.dribble", Summary: "so is one whose head comes in single bytes and does not end", Run: chainSlow(world.Drip, "HTTP/1.1 200 OK\r\nVia: a")},
	)
}

// chainDown takes the upstream away.
func chainDown(way world.Way) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(way, "core")
		hopTo(x, ch, check.AllowedTarget).mustChain(x)
		ch.Up.Down()
		for range 3 {
			h := hopTo(x, ch, check.AllowedTarget)
			h.lines(x)
			h.mustFail(x, "the upstream is down")
		}
	}
}

func chainAgain(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	ch.Up.Down()
	for range 3 {
		hopTo(x, ch, check.AllowedTarget).mustFail(x, "the upstream is down")
	}
	if err := ch.Up.Up(); err != nil {
		x.Abort("%v", err)
	}
	h := hopTo(x, ch, check.AllowedTarget)
	h.lines(x)
	h.mustChain(x)
}

// refusing asks an upstream that answers with text, and closes.
func refusing(x *check.X, ch check.Chain, text, what string) {
	ch.Up.SetScript(world.Script{Refuse: true, Answer: text})
	h := hopTo(x, ch, check.AllowedTarget)
	h.mustFail(x, what)
	if len(asked(h.visits)) == 0 {
		h.lines(x)
		x.Fail(oracle.Upstream, "%s: the upstream was not asked", what)
	}
}

// refusal is a whole answer of an upstream that says no.
func refusal(status int, more, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d No\r\n%sContent-Length: %d\r\n\r\n%s", status, more, len(body), body)
}

func chainStatus(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	x.Control(ch.Proxy, "before")
	for _, status := range []int{407, 403, 400, 404, 429, 500, 502, 503, 504, 511, 301, 302, 307, 304, 600} {
		refusing(x, ch, refusal(status, "Proxy-Authenticate: Basic realm=\"corp\"\r\nLocation: http://45.33.32.156:8443/\r\n", "no"),
			fmt.Sprintf("the upstream answers %d", status))
	}
	chainControl(x, ch)
}

// chainControl is the control after a table of answers: the upstream is good again, and all is as before.
func chainControl(x *check.X, ch check.Chain) {
	ch.Up.SetScript(world.Script{})
	x.Control(ch.Proxy, "after")
}

// chainAnswers lets the upstream answer with texts that open no tunnel, and then end the connection.
func chainAnswers(texts ...string) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(world.WayHTTP, "core")
		x.Control(ch.Proxy, "before")
		for _, text := range texts {
			refusing(x, ch, text, fmt.Sprintf("the upstream answers %q and ends", text))
		}
		x.Line("Got", "%d answers, no tunnel", len(texts))
		chainControl(x, ch)
	}
}

// chainEnded looks at the connection to the upstream once the client has its answer.
func chainEnded(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	ch.Up.SetScript(world.Script{Refuse: true, Answer: refusal(403, "", "no"), Then: world.Hold})
	h := hopTo(x, ch, check.AllowedTarget)
	h.lines(x)
	h.mustFail(x, "the upstream answers 403 and keeps the connection")
	mustBeOver(x, h.visits)
	chainControl(x, ch)
}

// mustBeOver fails the check when a connection to the upstream is kept, and returns the last of them.
func mustBeOver(x *check.X, visits []world.Visit) (last world.Visit) {
	ctx, cancel := x.Within()
	defer cancel()
	for _, v := range visits {
		var err error
		if last, err = v.Final(ctx); err != nil {
			x.Fail(oracle.Upstream, "a connection without use: %v", err)
		}
	}
	return last
}

// chainNothingShown marks every place of a refusal.
func chainNothingShown(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	const secret = "corporate-secret-81d3"
	fields := "X-Corp: " + secret + "\r\nSet-Cookie: a=" + secret + "\r\nProxy-Authenticate: Basic realm=\"" + secret +
		"\"\r\nLocation: http://" + secret + "/\r\nVia: 1.1 " + secret + "\r\n"
	for _, status := range []int{407, 401, 403, 302, 503} {
		text := strings.Replace(refusal(status, fields, "<h1>"+secret+"</h1>"), " No\r\n", " "+secret+"\r\n", 1)
		ch.Up.SetScript(world.Script{Refuse: true, Answer: text})
		h := hopTo(x, ch, check.AllowedTarget)
		h.mustStay(x)
		if strings.Contains(h.raw, secret) {
			h.lines(x)
			x.Fail(oracle.ClientAnswer, "the upstream answers %d, and the client reads its words: %.400q", status, h.raw)
		}
		h.mustFail(x, fmt.Sprintf("the upstream answers %d", status))
	}
	// An answer that opens the tunnel has words too.
	ch.Up.SetScript(world.Script{Head: "HTTP/1.1 200 " + secret + "\r\n" + fields + "\r\n"})
	h := hopTo(x, ch, check.AllowedTarget)
	h.mustChain(x)
	if strings.Contains(h.raw, secret) {
		h.lines(x)
		x.Fail(oracle.ClientAnswer, "the upstream opens the tunnel, and the client reads its words: %.400q", h.raw)
	}
	chainControl(x, ch)
}

// chainFlood sends a head that never ends as fast as it is read.
func chainFlood(begin, more string) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(world.WayHTTP, "core")
		x.Control(ch.Proxy, "before")
		text := begin + strings.Repeat(more, 64<<10/len(more))
		ch.Up.SetScript(world.Script{Refuse: true, Opening: "HTTP/1.1 200 OK\r\n", Answer: text, Then: world.Flood})
		if strings.Contains(more, "100 Continue") {
			ch.Up.SetScript(world.Script{Refuse: true, Opening: "HTTP/1.1 100 Continue\r\n", Answer: text, Then: world.Flood})
		}
		h := hopTo(x, ch, check.AllowedTarget)
		v := mustBeOver(x, h.visits)
		x.Line("Upstream", "%d bytes of its head were taken", v.Taken)
		if v.Taken >= world.FloodSize {
			x.Fail(oracle.Upstream, "the head of an answer has no limit: all of %d bytes were taken", v.Taken)
		}
		h.mustFail(x, "the head of the upstream's answer does not end")
		chainControl(x, ch)
	}
}

// chainPatience is how long anybody may wait for an upstream.
func chainPatience(x *check.X) time.Duration { return 10 * x.Bound() }

func chainSlow(then world.Then, text string) func(*check.X) {
	return func(x *check.X) {
		ch := x.Chain(world.WayHTTP, "core")
		x.Control(ch.Proxy, "before")
		ch.Up.SetScript(world.Script{Refuse: true, Answer: text, Then: then})
		mark := x.Mark()
		c := x.Client(ch.Proxy)
		begin := time.Now()
		c.Send(check.Head(check.AllowedTarget))
		r := c.AnswerWithin("CONNECT", chainPatience(x))
		x.Line("Got", "%s after %v", r, time.Since(begin).Round(10*time.Millisecond))
		h := hop{target: check.AllowedTarget, r: r, seen: x.Since(mark, ch.Proxy)}
		if r.TimedOut() {
			h.mustStay(x)
			x.Fail(oracle.ClientStatus, "the upstream says nothing whole, and the client no answer within %v", chainPatience(x))
		}
		h.mustFail(x, "the upstream is too slow")
		chainControl(x, ch)
	}
}
