// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"errors"
	"fmt"
	"os"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

func transparentEnds() []check.Check {
	return []check.Check{
		{ID: "TRANSPARENT-017.refused", Summary: "a connection that is refused ends, without a byte", Run: ends(refusedTargets...)},
		{ID: "TRANSPARENT-017.failed", Summary: "so does one whose host cannot be reached", Run: ends("refused.example.com:80", "absent.example.com:443",
			"empty.example.com:443", "servfail.example.com:443")},
		{ID: "TRANSPARENT-018.reset", Summary: "it ends by a reset", Run: resets},
		{ID: "TRANSPARENT-019.contained", Summary: "datagrams reach nothing, those to name servers apart", Run: datagramsContained},
		{ID: "TRANSPARENT-019.at-once", Summary: "and whoever sends them is told so", Run: datagramsEnd},
		{ID: "TRANSPARENT-020.client-half-close", Summary: "the client's end is passed on; the reply still comes", Run: caught(clientHalfClose)},
		{ID: "TRANSPARENT-020.early-end", Summary: "so is one that comes at once, before the host has answered", Run: earlyEnd},
		{ID: "TRANSPARENT-020.origin-half-close", Summary: "the origin's end is passed on; the client can still send", Run: caught(originHalfClose)},
		{ID: "TRANSPARENT-020.banner", Summary: "an origin that speaks first is heard", Run: caught(banner)},
		{ID: "TRANSPARENT-020.upload", Summary: "4 MiB from client to origin arrive unchanged and whole", Run: caught(upload)},
		{ID: "TRANSPARENT-020.download", Summary: "4 MiB from origin to client arrive unchanged and whole", Run: caught(download)},
		{ID: "TRANSPARENT-020.client-reset", Summary: "the origin's connection ends when the client resets", Run: abandoned},
		{ID: "TRANSPARENT-020.origin-reset", Summary: "the client's connection ends when the origin resets", Run: caught(originReset)},
		{ID: "TRANSPARENT-020.idle", Summary: "a connection on which nobody says anything stays", Run: idleCaptured},
	}
}

// refusedTargets are captured, and then refused by the policy or because of what a name resolves to.
var refusedTargets = []string{
	"45.33.32.156:443", "10.1.2.3:443", "169.254.169.254:80", "[2001:db8::1]:443", "private.example.com:443", "ula.example.com:443",
	"metadata.example.com:80", check.AllowedHost + ":8443",
}

// ended is the judgement of connections that must not last.
func ended(r probe.Result) string {
	switch {
	case r.Said != "":
		return "the client was sent " + r.Said
	case r.End != probe.Reset && r.End != probe.Closed && r.End != probe.Refused:
		return "want the end of the connection: " + r.End
	}
	return ""
}

func ends(targets ...string) func(*check.X) {
	return func(x *check.X) {
		actions := []probe.Action{}
		for _, t := range targets {
			// Clients that speak first, and those that wait for the other side.
			actions = append(actions, carrying("tcp", t), probe.Action{Do: "listen", Network: "tcp", Address: t})
		}
		past(x, x.Transparent("core"), actions...).each(x, oracle.Sandbox, ended)
	}
}

func resets(x *check.X) {
	actions := []probe.Action{}
	for _, t := range refusedTargets {
		actions = append(actions, probe.Action{Do: "listen", Network: "tcp", Address: t})
	}
	past(x, x.Transparent("core"), actions...).each(x, oracle.Sandbox, func(r probe.Result) string {
		if r.End != probe.Reset && r.End != probe.Refused {
			return "want a reset"
		}
		return ""
	})
}

// datagrams go to what is reached over UDP most: QUIC, NTP, multicast names, WireGuard, and to allowed hosts.
func datagrams() []probe.Action {
	actions := []probe.Action{}
	for _, at := range []string{
		"45.33.32.156:443", "93.184.215.14:443", "45.33.32.156:123", "10.1.2.3:51820", "169.254.169.254:80", "192.168.1.1:5353", "93.184.215.14:853",
		"[2606:2800:21f::14]:443", "[2001:db8::1]:443", "[fd12:3456::1]:123",
	} {
		actions = append(actions, probe.Action{Do: "datagram", Network: "udp", Address: at})
	}
	return actions
}

func datagramsContained(x *check.X) {
	w := past(x, x.Transparent("core"), append(datagrams(),
		probe.Action{Do: "send", Network: "udp4", Address: "224.0.0.251:5353"}, probe.Action{Do: "send", Network: "udp4", Address: "255.255.255.255:67"})...)
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		if r.Action.Do == "datagram" {
			return carriedNothing(r)
		}
		return ""
	})
	w.contained(x)
}

func datagramsEnd(x *check.X) {
	past(x, x.Transparent("core"), datagrams()...).each(x, oracle.Sandbox, func(r probe.Result) string {
		if r.End != probe.Refused && r.End != probe.Unreachable {
			return "want an error, port unreachable"
		}
		return ""
	})
}

// caught is a check of what happens to a connection that went past the proxy.
func caught(body func(*check.X, *check.Tunnel)) func(*check.X) {
	return func(x *check.X) { body(x, x.Captured(x.Transparent("core"), "tcp")) }
}

// abandoned resets a connection in a sandbox that goes on: the end of a sandbox would end everything.
func abandoned(x *check.X) {
	t := x.Talk(x.Transparent("core"))
	take := x.Take(check.AllowedTarget)
	over := make(chan error, 1)
	go func() {
		_, err := t.Try(probe.Action{Do: "abandon", Network: "tcp", Address: check.AllowedTarget})
		over <- err
	}()
	origin := x.Next(take)
	fmt.Fprintln(origin, "anybody there?")
	x.Saw(oracle.Process).Expect(<-over).To(Succeed(), "the program in the sandbox")
	_, err := x.OriginEnd(origin)
	x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred(), "after the client's reset")
}

// earlyEnd sends a line and its end right behind connect, as `nc` does with a file: the proxy may not take it for gone.
func earlyEnd(x *check.X) {
	actions := []probe.Action{}
	for range 10 {
		actions = append(actions, probe.Action{Do: "early", Network: "tcp", Address: check.AllowedTarget})
	}
	past(x, x.Transparent("core"), actions...).each(x, oracle.ClientStream, func(r probe.Result) string {
		if !r.Done {
			return "no reply: " + r.End
		}
		return ""
	})
}

// idleHead is the time that the proxy gives clients of its own for a head; what is captured has none.
const idleHead = 200 * time.Millisecond

func idleCaptured(x *check.X) {
	c := x.TransparentConfig("core")
	c.HeadTimeout = idleHead
	t := x.Captured(x.MustStart(c), "tcp")
	t.SetReadDeadline(time.Now().Add(3 * idleHead))
	_, err := t.R.ReadByte()
	x.Line("Got", "%v", err)
	x.Saw(oracle.ClientStream).Expect(errors.Is(err, os.ErrDeadlineExceeded)).To(BeTrue(), "a connection on which nothing was sent: %v", err)
	t.Send("from the client\n")
	x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "from the client\n")).To(Succeed())
	fmt.Fprint(t.Origin, "from the origin\n")
	x.Saw(oracle.ClientStream).Expect(t.Expect("from the origin\n")).To(Succeed())
}
