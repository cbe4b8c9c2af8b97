// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bufio"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/child"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// daemon goes on while the process that was started ends. Either answer to that will do, but for one: to lose it.
func daemon(x *check.X) {
	h := control(x)
	s := x.Begin(program(x, h, child.Options{Do: child.Daemon}), 0)
	came(x, h, child.Detached)
	if !s.Within(x.Bound()) {
		s.Cancel()
	}
	if p, err := settled(x, s); err == nil {
		// The start may have found a listener whose end was only a moment away: then its death is to be told.
		if !serves(x, p) && !reported(x, p) {
			x.Fail(oracle.Child, "an instance runs at %v, nobody serves there, and that was not reported", p.Addr)
		}
		mustEnd(x, p)
	}
	gone(x, h, "after the start or Stop")
}

// serves reports whether an allowed target is reached.
func serves(x *check.X, p *check.Proxy) bool {
	c, err := p.Dial()
	if err != nil {
		x.Line("Got", "%v", err)
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(x.Bound()))
	_, _ = io.WriteString(c, check.Head(check.AllowedTarget))
	r := probe.ReadResponse(bufio.NewReader(c), "CONNECT")
	x.Line("Got", "%s", r)
	return r.OK()
}

func stubborn(x *check.X) {
	h := control(x)
	p, _ := launch(x, h, child.Options{Do: child.Stubborn})
	x.Control(p, "before")
	mustEnd(x, p)
	gone(x, h, "after Stop")
}

// family is a child with a further process, which ignores the request to terminate.
func family(kin string) func(*check.X) {
	return func(x *check.X) {
		h := control(x)
		p, _ := launch(x, h, child.Options{Do: child.Family, Kin: kin})
		came(x, h, kin)
		x.Control(p, "before")
		mustEnd(x, p)
		gone(x, h, "after Stop")
	}
}

// survivor lets the child die and leave an orphan behind.
func survivor(x *check.X) {
	h := control(x)
	p, m := launch(x, h, child.Options{Do: child.Family, Kin: child.Orphan})
	came(x, h, child.Orphan)
	x.Control(p, "before")
	m.Tell(child.Die)
	select {
	case <-m.Ended():
	case <-x.Ctx.Done():
		x.Abort("the child does not die")
	}
	mustEnd(x, p)
	gone(x, h, "after Stop")
}

// childDeath lets the child die with a tunnel open and sees what becomes of it.
func childDeath(see func(*check.X, *check.Proxy, *check.Tunnel)) func(*check.X) {
	return func(x *check.X) {
		h := control(x)
		p, m := launch(x, h, child.Options{Do: child.Serve})
		x.Control(p, "before")
		t := x.Tunnel(p)
		t.Send("live")
		x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "live")).To(Succeed())
		m.Tell(child.Die)
		gone(x, h, "as it was told")
		see(x, p, t)
	}
}

func deathReported(x *check.X, p *check.Proxy, _ *check.Tunnel) {
	if !reported(x, p) {
		x.Fail(oracle.Lifecycle, "the child is dead and nobody was told within %v", x.Patience())
	}
}

// reported waits for the report of the death.
func reported(x *check.X, p *check.Proxy) bool {
	ctx, cancel := context.WithTimeout(x.Ctx, x.Patience())
	defer cancel()
	select {
	case <-p.Done: // never, if there is none
		return true
	case <-ctx.Done():
		return false
	}
}

func tunnelEnded(x *check.X, _ *check.Proxy, t *check.Tunnel) {
	_, err := t.End(x.Patience())
	x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred(), "the client's side of a tunnel after the child's death")
	_, err = x.OriginEnd(t.Origin)
	x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred(), "the origin's side")
}

// closed asks once the death is known: whoever means to go on has begun by then.
func closed(x *check.X, p *check.Proxy, _ *check.Tunnel) {
	reported(x, p)
	for _, target := range []string{check.AllowedTarget, check.DeniedTarget} {
		mark := x.Mark()
		c, err := p.Dial()
		if err != nil {
			x.Line("Got", "%v", err)
			continue
		}
		c.Close()
		r := x.Client(p).Ask(target)
		seen := x.Since(mark, p)
		x.Line("Sent", "CONNECT %s", target)
		x.Line("Got", "%s", r)
		x.Line("Origin", "%s", seen.Origin())
		noDial(x, seen)
		x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeFalse(), "CONNECT %s without the child: %s", target, r)
	}
}

func floodFirst(x *check.X) {
	h := control(x)
	s := x.Begin(program(x, h, child.Options{Do: child.Flood}), 0)
	came(x, h, child.Main)
	if !s.Within(ample(x)) {
		x.Fail(oracle.Child, "the child says %d bytes before it listens, and is not ready after %v", child.FloodBytes, ample(x))
	}
	p, err := s.Result()
	if err != nil {
		x.Fail(oracle.Child, "the child says %d bytes before it listens: %v", child.FloodBytes, err)
	}
	x.Control(p, "after")
}

func floodLater(x *check.X) {
	h := control(x)
	p, m := launch(x, h, child.Options{Do: child.Serve})
	x.Control(p, "before")
	m.Tell(child.Pour)
	x.Control(p, "meanwhile")
	ctx, cancel := context.WithTimeout(x.Ctx, ample(x))
	defer cancel()
	if err := m.Poured(ctx); err != nil {
		x.Fail(oracle.Child, "the child cannot say its %d bytes: %v", child.FloodBytes, err)
	}
	x.Control(p, "after")
}

// literals mean something to a shell, or to who splits or joins arguments, and nothing to a kernel.
var literals = []string{
	"", " ", "two words", ";", "a;b", "&&", "|", "> f", "$(echo spoken)", "`echo spoken`", "$HOME", "${HOME}", "~", "*", "?",
	"'", `"`, `\`, `\n`, "line\nbreak", "#", "!", "%s", "-n", "--", "é", "x{port}y", "{port}{port}", "{}", "{nothing}", "",
}

func arguments(x *check.X) {
	h := control(x)
	p, m := launch(x, h, child.Options{Do: child.Serve, Extra: literals})
	x.Control(p, "after")
	want := slices.Clone(literals)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], child.Port, port(x, m))
	}
	got := m.Args[slices.Index(m.Args, child.End)+1:]
	x.Line("Got", "%q", got)
	x.Saw(oracle.Child).Expect(got).To(Equal(want), "the child's arguments")
}

func childDescriptors(x *check.X) {
	closeLeak, err := leakDescriptor()
	if err != nil {
		x.Abort("leaving a descriptor open: %v", err)
	}
	x.Defer(closeLeak)
	h := control(x)
	_, m := launch(x, h, child.Options{Do: child.Serve})
	x.Line("Got", "%d descriptors above 2", len(m.Descriptors))
	if n := len(m.Descriptors); n > 0 {
		x.Note(oracle.Child, "the child has inherited %d descriptors: %s", n, few(m.Descriptors))
	}
}

// secrets are variables that nobody has asked to be handed on.
var secrets = []string{"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "EGRESS_CONFORMANCE_PLANTED"}

func childVariables(x *check.X) {
	plantVariables(x, foreignProxy)
	const secret = "planted-by-the-suite"
	for _, name := range secrets {
		plant(x, name, secret)
	}
	h := control(x)
	p, m := launch(x, h, child.Options{Do: child.Serve})
	x.Control(p, "after")
	var names []string
	for _, entry := range m.Env {
		if name, value, _ := strings.Cut(entry, "="); value == secret || value == foreignProxy {
			names = append(names, name)
		}
	}
	x.Line("Got", "%d variables, %d of them planted", len(m.Env), len(names))
	if len(names) > 0 {
		x.Note(oracle.Child, "the child has inherited %s", strings.Join(names, ", "))
	}
}

// scratch makes the directory in which everything temporary is made from then on.
func scratch(x *check.X) string {
	dir := socketDir(x)
	plant(x, "TMPDIR", dir)
	return dir
}

// emptied makes sure that nothing is left in dir.
func emptied(x *check.X, dir, when string) {
	left, err := os.ReadDir(dir)
	if err != nil {
		x.Abort("%v", err)
	}
	x.Line("Got", "%d files in the directory for temporary files", len(left))
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if len(left) > 0 {
		x.Note(oracle.Lifecycle, "%s files are left behind: %s", when, few(names))
	}
}

func scratchStopped(x *check.X) {
	h := control(x)
	dir := scratch(x)
	p, _ := launch(x, h, child.Options{Do: child.Serve})
	x.Control(p, "before")
	mustEnd(x, p)
	emptied(x, dir, "after Stop")
}

func scratchFailed(x *check.X) {
	h := control(x)
	dir := scratch(x)
	s := exits(x, h)
	if !s.Within(x.Patience()) {
		s.Cancel()
	}
	if _, err := settled(x, s); err == nil {
		x.Fail(oracle.Child, "an instance runs, and its child has ended before it listened")
	}
	x.Saw(oracle.Lifecycle).Expect(s.End()).To(Succeed())
	emptied(x, dir, "after a start that failed")
}

// firstServed has the child take its time before it listens.
func firstServed(x *check.X) {
	h := control(x)
	s := x.Begin(program(x, h, child.Options{Do: child.Late}), 0)
	if !s.Within(ample(x)) {
		x.Fail(oracle.Lifecycle, "a child that takes %v before it listens is not ready", child.LateBy)
	}
	p, err := s.Result()
	if err != nil {
		x.Fail(oracle.Child, "a child that takes %v before it listens was not started: %v", child.LateBy, err)
	}
	returned := time.Now()
	r := x.Client(p).Ask(check.AllowedTarget)
	x.Line("Got", "%s, %v after the start", r, time.Since(returned).Round(time.Millisecond))
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "the first request: %s", r)
}
