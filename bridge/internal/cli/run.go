// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
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
	later     laterFlags
}

func newRun() flagged {
	r := &run{set: newFlagSet("run")}
	r.set.SetInterspersed(false) // what follows the command is the command's
	r.policy.define(r.set)
	r.set.StringVar(&r.log, "log", "", "append one JSON line for each decision to `FILE`; - is standard error")
	r.set.StringVar(&r.sandbox, "sandbox", string(bridge.Auto), "make the sandbox in this `MODE`: auto, bwrap, userns or none")
	r.set.StringArrayVar(&r.bwrapArgs, "bwrap-arg", nil, "pass the file-system argument `A` to bwrap; repeat for each word")
	r.set.BoolVar(&r.summary, "summary", false, "print what was denied or failed at the end (default: on a terminal)")
	r.policy.upstream.define(r.set)
	r.external.define(r.set)
	r.later.define(r.set)
	return r
}

func (r *run) flagSet() *pflag.FlagSet { return r.set }

// run runs the command and returns its exit status. Everything up to the
// start of the proxy happens under the default signal handling: there is
// nothing yet to clean up, and a file that blocks must not block Ctrl-C.
func (r *run) run(s Streams, command []string) int {
	if err := errors.Join(r.later.err(), r.check(command), runSupported()); err != nil {
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
	if len(command) == 0 {
		problems = append(problems, errors.New("no command; write it at the end, as in: sallyport run --allow example.com -- curl -sS https://example.com"))
	}
	return errors.Join(problems...)
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
