// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// modeNone is the value of --sandbox that asks for no sandbox. It is not a
// bridge.Mode: no library call can mean it.
const modeNone = "none"

// run is the subcommand run.
type run struct {
	set       *pflag.FlagSet
	policy    policyFlags
	sandbox   string
	bwrapArgs []string
	log       string
	summary   bool
	external  externalFlags

	transparent bool
	doors       doorFlags
}

func newRun() flagged {
	r := &run{set: newFlagSet("run")}
	r.set.SetInterspersed(false) // what follows the command is the command's
	r.policy.define(r.set)
	r.set.StringVar(&r.log, "log", "", "append one JSON line for each decision to `FILE`; - is standard error")
	r.set.StringVar(&r.sandbox, "sandbox", string(bridge.Auto), "make the sandbox in this `MODE`: auto, bwrap, userns or none")
	r.set.StringArrayVar(&r.bwrapArgs, "bwrap-arg", nil, "pass the file-system argument `A` to bwrap; repeat for each word")
	r.set.BoolVar(&r.summary, "summary", false, "print what was denied or failed at the end (default: on a terminal)")
	r.set.BoolVar(&r.transparent, "transparent", false, "capture connections of programs that ignore proxy variables, too")
	r.doors.define(r.set)
	r.policy.upstream.define(r.set)
	r.external.define(r.set)
	return r
}

func (r *run) flagSet() *pflag.FlagSet { return r.set }

// run runs the command and returns its exit status. Everything up to the
// start of the proxy happens under the default signal handling: there is
// nothing yet to clean up, and a file that blocks must not block Ctrl-C.
func (r *run) run(s Streams, command []string) int {
	if err := errors.Join(r.check(command), runSupported()); err != nil {
		complain(s.Stderr, err)
		return bridge.ExitFailed
	}
	p, err := r.policy.load()
	if err != nil {
		complain(s.Stderr, err)
		return bridge.ExitFailed
	}
	b, err := prepare(p, &r.external)
	if err != nil {
		complain(s.Stderr, err)
		return bridge.ExitFailed
	}
	defer b.close()
	if r.doors.explain {
		if status := r.explain(s, b, p.filter, len(command) == 0); status != exitOK || len(command) == 0 {
			return status
		}
	}
	log, err := openLog(s, r.log)
	if err != nil {
		complain(s.Stderr, err)
		return bridge.ExitFailed
	}
	r.announce(s, p)
	status := r.session(s, p, b, log, command)
	if err := log.Close(); err != nil { // a quota or a remote file system may refuse only now
		complain(s.Stderr, err)
		status = incomplete(s, status)
	}
	return status
}

// check refuses option values and combinations that mean nothing.
func (r *run) check(command []string) error {
	var problems []error
	modes := []string{string(bridge.Auto), string(bridge.Bwrap), string(bridge.UserNS), modeNone}
	if !slices.Contains(modes, r.sandbox) {
		problems = append(problems, fmt.Errorf("--sandbox %q is not one of %s", r.sandbox, strings.Join(modes, ", ")))
	}
	if len(r.bwrapArgs) > 0 && (r.sandbox == modeNone || r.sandbox == string(bridge.UserNS)) {
		problems = append(problems, fmt.Errorf("--bwrap-arg means nothing with --sandbox %s; leave one of the two out", r.sandbox))
	}
	if len(command) > 0 && command[0] == "" {
		problems = append(problems, errors.New("the command is an empty word (\"\"); is it a variable that is not set?"))
	}
	if names := r.doors.meaningless(r.transparent); r.sandbox == modeNone && len(names) > 0 {
		problems = append(problems, fmt.Errorf("%s: means nothing with --sandbox none, where nothing is enforced", strings.Join(names, ", ")))
	}
	problems = append(problems, r.doors.check())
	if len(command) == 0 && !r.doors.explain {
		problems = append(problems, errors.New("no command; write it at the end, as in: sallyport run --allow example.com -- curl -sS https://example.com"))
	}
	return errors.Join(problems...)
}

// box is the sandbox that the options ask for.
func (r *run) box(b *backend, filter *proxycore.Filter) bridge.Sandbox {
	return bridge.Sandbox{
		Mode:        bridge.Mode(r.sandbox),
		BwrapArgs:   b.bwrapArgs(r.bwrapArgs),
		Hide:        b.hide,
		Name:        fmt.Sprintf("run-%d", os.Getpid()),
		Filter:      filter,
		Transparent: r.transparent,
		Weaker:      r.doors.weaker.doors,
		HostSockets: r.doors.sockets,
	}
}

// explain prints what is shut: on standard output if that is all that was asked for, and
// else, before the command runs, on standard error.
func (r *run) explain(s Streams, b *backend, filter *proxycore.Filter, alone bool) int {
	out, failure := s.Stderr, bridge.ExitFailed
	if alone {
		out, failure = s.Stdout, exitOpen
	}
	holds, err := explain(context.Background(), out, r.box(b, filter))
	if err != nil {
		complain(s.Stderr, err)
		return bridge.ExitFailed
	}
	if !holds {
		return failure
	}
	return exitOK
}

// announce says before the start what the user should know about the policy.
func (r *run) announce(s Streams, p *policy) {
	warn(s.Stderr, p.filter)
	switch {
	case p.filter.Len() > 0:
	case r.sandbox == modeNone:
		fmt.Fprintln(s.Stderr, "sallyport: nothing is allowed, so the proxy will deny every request; --allow HOST allows a host")
	default:
		fmt.Fprintln(s.Stderr, "sallyport: nothing is allowed, so the command has no network; --allow HOST allows a host")
	}
	if r.sandbox == modeNone {
		fmt.Fprintln(s.Stderr, "sallyport: warning: --sandbox none enforces nothing: the command is asked to use the proxy and can ignore it")
	}
}
