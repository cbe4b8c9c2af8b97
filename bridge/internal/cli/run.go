// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/bridge/internal/decisionlog"
	"github.com/sallyport-dev/sallyport/bridge/internal/summary"
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
	log, err := openLog(s, r.log)
	if err != nil {
		complain(s.Stderr, err)
		return bridge.ExitFailed
	}
	r.announce(s, p)
	status := r.session(s, p, log, command)
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

// session holds the proxy, the sandbox and the command together.
func (r *run) session(s Streams, p *policy, log *decisionlog.Log, command []string) int {
	var denied summary.Counter
	b := proxycore.BuiltIn{Port: -1, Config: proxycore.Config{
		Filter: p.filter,
		Hosts:  p.hosts,
		Record: func(rec proxycore.Record) error { return errors.Join(denied.Record(rec), log.Record(rec)) },
	}}
	if r.sandbox == modeNone {
		b.Port = 0
	}
	sigs := catchSignals(context.Background(), runSignals(r.sandbox == modeNone))
	defer sigs.stop()

	h, err := b.Start(sigs.ctx)
	if err != nil {
		return sigs.failure(s, err)
	}
	terminal := r.sandbox != modeNone && bridge.WantsTerminal(s.Stdin)
	reported := watch(h, s.Stderr, terminal)
	status := r.launch(s, h, p.filter, sigs, terminal, command)
	// The command is gone, and what follows may wait for a log that nobody reads:
	// from here on a signal ends this process.
	sigs.stop()
	failed := reported()
	// The last tunnels end here, and with them the last records are written.
	if err := cmp.Or(h.Close(), h.Err()); err != nil && !failed {
		complain(s.Stderr, err)
		failed = true
	}
	r.report(s, &denied)
	if failed {
		status = incomplete(s, status)
	}
	return status
}

// incomplete is the exit status when Sallyport has failed beside a command that ended with
// status: a success of the command alone is none, and its own failure tells more than ours.
func incomplete(s Streams, status int) int {
	if status != 0 {
		return status
	}
	fmt.Fprintf(s.Stderr, "sallyport: exit status %d because of this; the command's own status was 0\n", bridge.ExitFailed)
	return bridge.ExitFailed
}

// launch starts the command, waits for it and returns its status.
func (r *run) launch(s Streams, h *proxycore.Handle, filter *proxycore.Filter, sigs *signals, terminal bool, command []string) int {
	if r.sandbox == modeNone {
		return runDirect(s, h.Environ(os.Environ()), sigs, command)
	}
	box := bridge.Sandbox{
		Mode:      bridge.Mode(r.sandbox),
		BwrapArgs: r.bwrapArgs,
		Name:      fmt.Sprintf("run-%d", os.Getpid()),
		Filter:    filter,
		Terminal:  terminal,
	}
	cmd, err := box.Command(sigs.ctx, h, command[0], command[1:]...)
	if err != nil {
		return sigs.failure(s, err)
	}
	forward, ok := sigs.forward()
	if !ok {
		return sigs.failure(s, context.Canceled)
	}
	session := bridge.Session{Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr, Terminal: terminal, Signals: forward}
	status, err := session.Run(cmd)
	if err != nil {
		complain(s.Stderr, err)
	}
	return status
}

// report prints the summary where it was asked for, or, by default, where a
// person reads it and there is something to say.
func (r *run) report(s Streams, denied *summary.Counter) {
	asked := r.set.Changed("summary")
	if asked && r.summary || !asked && denied.Total() > 0 && isTerminal(s.Stderr) {
		_ = denied.Write(s.Stderr) // standard error is gone: there is nowhere to say so
	}
}

// watch says at once when the proxy dies while the command runs. From then on
// the sandbox has no network, which is worth knowing before the command fails.
// On a terminal in raw mode a line ends in CR LF. The result ends the watch and
// tells whether it had something to say.
func watch(h *proxycore.Handle, stderr *os.File, raw bool) (end func() (reported bool)) {
	newline := "\n"
	if raw {
		newline = "\r\n"
	}
	stop, result := make(chan struct{}), make(chan bool, 1)
	go func() {
		select {
		case <-stop:
			result <- false
		case <-h.Done():
			text := strings.TrimPrefix(fmt.Sprint(h.Err()), "proxycore: ")
			fmt.Fprintf(stderr, "sallyport: the proxy stopped, the command has no network any more: %s%s", text, newline)
			result <- true
		}
	}()
	return func() bool { close(stop); return <-result }
}

// runSignals are the signals that run handles, less those that were ignored
// when it was started (nohup), which stay ignored for the command, too.
func runSignals(direct bool) []os.Signal {
	return slices.DeleteFunc(bridge.ForwardedSignals(), func(s os.Signal) bool {
		return signal.Ignored(s) || direct && leftToTerminal(s)
	})
}
