// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// reflection asks for targets that would do harm in a terminal, a page or a head if they came back as they are.
func reflection(x *check.X) {
	p := x.Core()
	x.Control(p, "before")
	for _, target := range []string{
		"\x1b[31mevil.example.net:443", "<script>alert(1)</script>.example.net:443", "evil.example.net\rX-Injected: 1\r:443",
	} {
		c := x.Client(p)
		c.Send("CONNECT " + target + " HTTP/1.1\r\nHost: " + check.AllowedTarget + "\r\n\r\n")
		r := c.Answer("CONNECT")
		x.Line("Sent", "CONNECT %q", target)
		x.Line("Got", "%s", r)
		for _, bad := range reflected(r) {
			x.Note(oracle.ClientAnswer, "the answer to %q has %s", target, bad)
		}
	}
	x.Control(p, "after")
}

// reflected lists what of a target must not come back. Markup is harmless in a text that says it is plain.
func reflected(r probe.Response) (out []string) {
	text := string(r.Body)
	for _, f := range r.Fields {
		text += "\n" + f.Name + f.Value
		if strings.EqualFold(strings.TrimSpace(f.Name), "X-Injected") {
			out = append(out, "a field of the client's making")
		}
	}
	// A line break of the target's, not one of the page's own, has what stood behind it in the target at its end.
	if strings.Contains(text, "\x1b") || strings.Contains(text, "\rX-Injected") {
		out = append(out, "control characters of the target")
	}
	plain := slices.ContainsFunc(r.Field("Content-Type"), func(v string) bool { return strings.HasPrefix(strings.ToLower(v), "text/plain") })
	if !plain && strings.Contains(text, "<script>alert(1)") {
		out = append(out, "markup of the target")
	}
	return out
}

// standing sees what becomes of the connection behind a refusal.
func standing(x *check.X) {
	p := x.Core()
	x.Control(p, "before")
	c := x.Client(p)
	r := c.Ask(check.DeniedTarget)
	x.Line("Got", "%s", r)
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeFalse(), "answer: %s", r)
	closes := r.Status == 0 || r.Proto == "HTTP/1.0" ||
		slices.ContainsFunc(r.Field("Connection"), func(v string) bool { return strings.Contains(strings.ToLower(v), "close") })
	if closes {
		_, err := c.End(x.Bound())
		x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred(), "behind a refusal that ends the connection")
	} else {
		next := c.Ask(check.AllowedTarget)
		x.Line("Got", "then %s", next)
		x.Saw(oracle.ClientStream).Expect(next.TimedOut()).To(BeFalse(), "the next request on a connection that was kept: %s", next)
	}
	x.Control(p, "after")
}
