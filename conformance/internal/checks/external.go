// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/child"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func externalChecks() []check.Check {
	all := []check.Check{
		{ID: "EXTERNAL-001.missing", Summary: "a program that does not exist is an error at the start", Run: noProgram(missing)},
		{ID: "EXTERNAL-001.not-executable", Summary: "a file that is no program is an error at the start", Run: noProgram(notExecutable)},
		{ID: "EXTERNAL-001.empty", Summary: "no program at all is an error at the start", Run: noProgram(func(*check.X) string { return "" })},
		{ID: "EXTERNAL-002.at-once", Summary: "the end of the program ends the start, not the end of its time", Run: exitsAtOnce},
		{ID: "EXTERNAL-003.words", Summary: "what the program said before its end is in the error or in the log", Run: lastWords},
		{ID: "EXTERNAL-004.deadline", Summary: "a program that never listens is an error by the deadline, and gone", Run: neverListens(false)},
		{ID: "EXTERNAL-004.cancelled", Summary: "a start that is cancelled is an error, and the program gone", Run: neverListens(true)},
		{ID: "EXTERNAL-004.deaf", Summary: "a program that takes connections and never answers is no better", Run: deaf},
		{ID: "EXTERNAL-005.taken-before", Summary: "somebody who listens on the port already is not handed out", Run: stranger(false)},
		{ID: "EXTERNAL-005.taken-meanwhile", Summary: "nor is somebody who is faster than the program", Run: stranger(true)},
		{ID: "EXTERNAL-006.open", Summary: "a program that allows everything is not handed out, and gone", Run: openChild},
		{ID: "EXTERNAL-007.exposed", Summary: "a program that other hosts reach is not handed out, and gone", Run: exposedChild},
		{ID: "EXTERNAL-008.daemon", Summary: "a program that goes into the background is refused or under control", Run: daemon},
		{ID: "EXTERNAL-009.stubborn", Summary: "a program that will not end is gone when Stop returns", Run: stubborn},
		{ID: "EXTERNAL-010.group", Summary: "so is a process it has started", Run: family(child.Group)},
		{ID: "EXTERNAL-010.session", Summary: "and one that has left its session", Run: family(child.Session)},
		{ID: "EXTERNAL-010.orphan", Summary: "and one whose parent is gone", Run: family(child.Orphan)},
		{ID: "EXTERNAL-010.after-death", Summary: "and one that has survived the program", Run: survivor},
		{ID: "EXTERNAL-011.reported", Summary: "the program's death is reported", Run: childDeath(deathReported)},
		{ID: "EXTERNAL-011.tunnels-end", Summary: "with the program end its tunnels", Run: childDeath(tunnelEnded)},
		{ID: "EXTERNAL-011.fails-closed", Summary: "without the program nothing is served", Run: childDeath(closed)},
		{ID: "EXTERNAL-012.before-ready", Summary: "much output before it listens does not hold the program up", Run: floodFirst},
		{ID: "EXTERNAL-012.while-serving", Summary: "nor does much output while it serves", Run: floodLater},
		{ID: "EXTERNAL-013.arguments", Summary: "the program gets its arguments as they are", Run: arguments},
		{ID: "EXTERNAL-014.descriptors", Summary: "the program inherits no descriptor", Run: childDescriptors},
		{ID: "EXTERNAL-014.variables", Summary: "the program inherits neither proxy variables nor secrets", Run: childVariables},
		{ID: "EXTERNAL-015.stopped", Summary: "Stop leaves no files behind", Run: scratchStopped},
		{ID: "EXTERNAL-015.failed-start", Summary: "nor does a start that failed", Run: scratchFailed},
		{ID: "EXTERNAL-016.parallel", Summary: "programs started at the same time get ports of their own", Run: parallelStarts},
		{ID: "EXTERNAL-017.first-request", Summary: "the first request after the start is served", Run: firstServed},
	}
	for i := range all {
		all[i].Needs = []string{"launcher"}
	}
	return append(all,
		check.Check{
			ID: "EXTERNAL-018.unclaimed", Summary: "a backend without a launcher that is asked to start a program returns an error",
			Unclaimed: "launcher", Run: noLauncher,
		},
		check.Check{
			ID: "EXTERNAL-019.stray", Summary: "a process that has nothing of the program's any more is gone when Stop returns",
			Needs: []string{"launcher"}, Run: family(child.Stray),
		})
}

// control opens the socket at which the processes of a check's children make themselves known.
func control(x *check.X) *child.Hub {
	h, err := child.Listen(filepath.Join(socketDir(x), "c"))
	if err != nil {
		x.Abort("%v", err)
	}
	x.Defer(h.Close)
	return h
}

// program is a configuration with a child that the hub watches.
func program(x *check.X, h *child.Hub, o child.Options) check.Config {
	self, err := os.Executable()
	if err != nil {
		x.Abort("finding the child: %v", err)
	}
	c := x.PolicyConfig("core")
	o.Control, o.Allow, o.Deny, o.HeadTimeout = h.Path(), c.Allow, c.Deny, c.HeadTimeout
	c.Child = &check.Child{Path: self, Args: o.Args()}
	return c
}

// ample is how long the suite waits for what a launcher and its child do in an instant: nobody who does it pays for it,
// and a busy machine is no finding.
func ample(x *check.X) time.Duration { return 2 * x.Patience() }

// came returns the process of a role, once it has made itself known.
func came(x *check.X, h *child.Hub, role string) *child.Member {
	ctx, cancel := context.WithTimeout(x.Ctx, ample(x))
	defer cancel()
	m, err := h.Await(ctx, role)
	if err != nil {
		x.Fail(oracle.Child, "%v", err)
	}
	return m
}

// gone makes sure that every process of the child is.
func gone(x *check.X, h *child.Hub, when string) {
	ctx, cancel := context.WithTimeout(x.Ctx, x.Patience())
	defer cancel()
	if left := h.Left(ctx); len(left) > 0 {
		x.Fail(oracle.Child, "%s: processes of the child are still there after %v: %s", when, x.Patience(), strings.Join(left, ", "))
	}
	x.Line("Child", "gone %s", when)
}

// launch starts a child that has to be handed out, and waits for its first process.
func launch(x *check.X, h *child.Hub, o child.Options) (*check.Proxy, *child.Member) {
	p, err := x.Start(program(x, h, o))
	if err != nil {
		x.Fail(oracle.Child, "a child that serves was not started: %v", err)
	}
	return p, came(x, h, child.Main)
}

// settled is the end of a start that has to fail: it returns the error, or nil and the instance. A start that does not
// return although it was given up is a finding.
func settled(x *check.X, s *check.Starting) (*check.Proxy, error) {
	if !s.Within(ample(x)) {
		x.Fail(oracle.Lifecycle, "the start has not returned %v after the end of its context", ample(x))
	}
	p, err := s.Result()
	x.Line("Got", "%v", err)
	return p, err
}

// port is the one the first process was told to listen on.
func port(x *check.X, m *child.Member) string {
	for _, arg := range m.Args {
		if value, ok := strings.CutPrefix(arg, "port="); ok {
			return value
		}
	}
	x.Fail(oracle.Child, "the child was told no port: %q", m.Args)
	return ""
}

// noLauncher is asked for something that it would be wrong to leave out.
func noLauncher(x *check.X) {
	h := control(x)
	p, err := x.Start(program(x, h, child.Options{Do: child.Serve}))
	x.Line("Got", "%v", err)
	if err == nil {
		x.Saw(oracle.Lifecycle).Expect(p.End()).To(Succeed(), "Stop")
		x.Fail(oracle.Child, "an instance runs though the backend does not claim that it can launch a program")
	}
}
