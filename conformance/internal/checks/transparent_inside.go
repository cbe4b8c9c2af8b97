// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net"
	"os"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

func transparentInside() []check.Check {
	return []check.Check{
		{ID: "TRANSPARENT-021.name", Summary: "a program that follows the variables is served as ever", Run: variableName},
		{ID: "TRANSPARENT-021.denied", Summary: "and refused as ever", Run: variableDenied},
		{ID: "TRANSPARENT-021.address", Summary: "one that resolves first, and asks the proxy for the address, gets to the name", Run: variableAddress},
		{ID: "TRANSPARENT-022.new", Summary: "a sandbox made after the proxy's end reaches nothing, or is not made", Run: newWithout},
		{ID: "TRANSPARENT-022.running", Summary: "a sandbox that is running when the proxy ends reaches nothing", Run: runningWithout},
		{ID: "TRANSPARENT-023.capabilities", Summary: "the command has no capability", Run: transparentCapabilities},
		{ID: "TRANSPARENT-023.no-new-privileges", Summary: "no program it starts can get any", Run: transparentPrivileges},
		{ID: "TRANSPARENT-023.descriptors", Summary: "the command inherits no socket of the capture", Run: transparentDescriptors},
		{ID: "TRANSPARENT-023.routes", Summary: "routes and addresses cannot be changed", Run: transparentForbids("routes", "configure")},
		{ID: "TRANSPARENT-024.host-loopback", Summary: "services on the host's loopback interface cannot be reached", Run: transparentLoopback},
		{ID: "TRANSPARENT-024.abstract-sockets", Summary: "nor its abstract unix sockets", Run: transparentAbstract},
		{ID: "TRANSPARENT-024.raw-sockets", Summary: "no raw and no packet socket can be made", Run: transparentForbids("raw")},
		{ID: "TRANSPARENT-024.nested", Summary: "a further namespace leads nowhere", Run: transparentNested},
		{ID: "TRANSPARENT-027.loopback", Summary: "programs inside reach each other on the loopback interface", Run: servers},
	}
}

func variableName(x *check.X) {
	past(x, x.Transparent("core"), probe.Action{Do: "proxy", Address: check.AllowedTarget}).reached(x, x.World.Addr(check.AllowedHost).String()+":443")
}

func variableDenied(x *check.X) {
	w := past(x, x.Transparent("core"), probe.Action{Do: "proxy", Address: check.DeniedTarget}, probe.Action{Do: "proxy", Address: "93.184.215.14:443"})
	w.contained(x)
	w.each(x, oracle.ClientStatus, func(r probe.Result) string {
		if r.Status != 403 {
			return fmt.Sprintf("want 403, got %d", r.Status)
		}
		return ""
	})
}

func variableAddress(x *check.X) {
	past(x, x.Transparent("core"), probe.Action{Do: "resolved", Network: "ip4", Address: check.AllowedTarget}, probe.Action{Do: "resolved", Network: "ip6", Address: check.AllowedTarget}).
		reached(x, x.World.Addr(check.AllowedHost).String()+":443")
}

func withoutProxy() []probe.Action {
	return []probe.Action{
		carrying("tcp4", check.AllowedTarget), carrying("tcp6", check.AllowedTarget), {Do: "proxy", Address: check.AllowedTarget},
		carrying("tcp4", "93.184.215.14:443"), asking("denied.example.net", probe.TypeA), asking(check.AllowedHost, typeTXT),
		{Do: "datagram", Network: "udp4", Address: "45.33.32.156:443"},
	}
}

// nothingWithout judges what was tried without the proxy; that a query is answered by the sandbox itself is no way out.
func nothingWithout(x *check.X, w within) {
	x.Line("Origin", "%s", w.seen.Origin())
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		if r.Action.Do == "query" {
			return ""
		}
		return carriedNothing(r)
	})
	w.contained(x)
}

func newWithout(x *check.X) {
	p := x.MustStart(x.TransparentConfig("core"))
	past(x, p)
	mustEnd(x, p)
	mark := x.Mark()
	var r []probe.Result
	t, err := x.TryTalk(p)
	if err == nil {
		r, err = t.Try(withoutProxy()...)
	}
	if err != nil {
		x.Line("Got", "no sandbox without the proxy: %v", err)
	}
	nothingWithout(x, within{r, x.Since(mark, p)})
}

func runningWithout(x *check.X) {
	p := x.MustStart(x.TransparentConfig("core"))
	t := x.Talk(p)
	if r := t.Do(carrying("tcp4", check.AllowedTarget))[0]; !r.Done {
		x.Note(oracle.Control, "before the proxy's end: %s %s", r.End, r.Detail)
	}
	mustEnd(x, p)
	mark := x.Mark()
	r, err := t.Try(probe.Action{Do: "together", All: withoutProxy()})
	w := within{seen: x.Since(mark, p)}
	if err != nil { // a sandbox that ends with its proxy reaches nothing either
		x.Line("Got", "the sandbox ended: %v", err)
	} else {
		w.results = r[0].All
	}
	nothingWithout(x, w)
}

func transparentCapabilities(x *check.X) {
	r := ask(x, x.Transparent("core"))
	x.Line("Got", "%v", r.Capabilities)
	x.Saw(oracle.Process).Expect(r.Capabilities).To(BeEmpty(), "capabilities of the command")
}

func transparentPrivileges(x *check.X) {
	x.Saw(oracle.Process).Expect(ask(x, x.Transparent("core")).NoNewPrivs).To(BeTrue(), "no_new_privs")
}

func transparentDescriptors(x *check.X) {
	closeLeak, err := leakDescriptor()
	if err != nil {
		x.Abort("leaving a descriptor open: %v", err)
	}
	x.Defer(closeLeak)
	r := ask(x, x.Transparent("core"))
	if n := len(r.Descriptors); n > 0 {
		x.Note(oracle.Process, "the command has inherited %d descriptors: %s", n, few(r.Descriptors))
	}
}

func transparentForbids(what ...string) func(*check.X) {
	return func(x *check.X) {
		actions := []probe.Action{}
		for _, do := range what {
			actions = append(actions, probe.Action{Do: do})
		}
		past(x, x.Transparent("core"), actions...).each(x, oracle.Sandbox, func(r probe.Result) string {
			if r.Done {
				return r.Detail
			}
			return ""
		})
	}
}

// transparentLoopback looks for the origins of this world, which listen on loopback addresses too.
func transparentLoopback(x *check.X) {
	actions := []probe.Action{}
	for _, at := range []string{"127.0.0.1:443", "127.0.0.1:22", "127.0.0.2:443", "127.0.0.1:8443", "[::1]:443", "[::1]:22", "[::ffff:127.0.0.1]:443", "0.0.0.0:443"} {
		actions = append(actions, carrying("tcp", at))
	}
	w := past(x, x.Transparent("core"), actions...)
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

func transparentAbstract(x *check.X) {
	name := fmt.Sprintf("@egress-conformance-transparent-%d", os.Getpid())
	l, err := net.Listen("unix", name)
	if err != nil {
		x.Abort("listening on an abstract socket: %v", err)
	}
	defer l.Close()
	past(x, x.Transparent("core"), probe.Action{Do: "dial", Network: "unix", Address: name}).each(x, oracle.Sandbox, carriedNothing)
}

// transparentNested tries from a further user namespace, in which a program has every capability again.
func transparentNested(x *check.X) {
	actions := []probe.Action{}
	for _, inner := range []string{"carry", "raw", "routes"} {
		actions = append(actions, probe.Action{Do: "unshare", Inner: inner, Network: "tcp4", Address: "93.184.215.14:443"})
	}
	w := past(x, x.Transparent("core"), actions...)
	w.each(x, oracle.Sandbox, carriedNothing)
	w.contained(x)
}

// servers listen where development servers do.
func servers(x *check.X) {
	w := past(x, x.Transparent("core"), probe.Action{Do: "local", Network: "tcp4", Address: "127.0.0.1:3000"},
		probe.Action{Do: "local", Network: "tcp4", Address: "127.0.0.1:8080"}, probe.Action{Do: "local", Network: "tcp6", Address: "[::1]:8080"})
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done {
			return "want an echo: " + r.End + " " + r.Detail
		}
		return ""
	})
	w.contained(x)
}
