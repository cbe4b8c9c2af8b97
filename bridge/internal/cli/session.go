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

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/bridge/internal/decisionlog"
	"github.com/sallyport-dev/sallyport/bridge/internal/summary"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// session holds the proxy, the sandbox and the command together.
func (r *run) session(s Streams, p *policy, b *backend, log *decisionlog.Log, command []string) int {
	var denied summary.Counter
	built := proxycore.BuiltIn{Port: -1, Config: proxycore.Config{
		Filter: p.filter,
		Hosts:  p.hosts,
		Record: func(rec proxycore.Record) error { return errors.Join(denied.Record(rec), log.Record(rec)) },
	}}
	if r.sandbox == modeNone {
		built.Port = 0
	}
	sigs := catchSignals(context.Background(), runSignals(r.sandbox == modeNone))
	defer sigs.stop()

	if b.launch != nil {
		sigs.ready() // another proxy has to be ended
	}
	b.conceal = true
	h, err := b.start(sigs.ctx, built)
	if err != nil {
		return sigs.failure(s, err)
	}
	terminal := r.sandbox != modeNone && bridge.WantsTerminal(s.Stdin)
	reported := watch(h, s.Stderr, terminal)
	status := r.launch(s, h, b, p.filter, sigs, terminal, command)
	b.settle(h)
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
func (r *run) launch(s Streams, h *proxycore.Handle, b *backend, filter *proxycore.Filter, sigs *signals, terminal bool, command []string) int {
	if r.sandbox == modeNone {
		return runDirect(s, h.Environ(b.environ(os.Environ())), sigs, command)
	}
	box := r.box(b, filter)
	box.Terminal = terminal
	cmd, err := box.Command(sigs.ctx, h, command[0], command[1:]...)
	if err != nil {
		return sigs.failure(s, err)
	}
	cmd.Env = b.environ(os.Environ())
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
		if conf, err := os.ReadFile("/etc/resolv.conf"); err == nil { // which the sandbox has, too, or else nothing is lost
			denied.Search = summary.SearchDomains(string(conf))
		}
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
		case <-h.Done():
		}
		select { // a death just before the end is one still
		default:
			result <- false
		case <-h.Done():
			text := strings.ReplaceAll(wording(h.Err()), "\n", newline)
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
