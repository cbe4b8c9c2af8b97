// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/bridge/internal/decisionlog"
	"github.com/sallyport-dev/sallyport/bridge/internal/quit"
	"github.com/sallyport-dev/sallyport/bridge/internal/summary"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// proxy is the subcommand proxy.
type proxy struct {
	set         *pflag.FlagSet
	policy      policyFlags
	log         string
	listen      string
	allowRemote bool
	socket      string
	control     controlFlags
	external    externalFlags
}

func newProxy() flagged {
	p := &proxy{set: newFlagSet("proxy")}
	p.policy.define(p.set)
	p.set.StringVar(&p.log, "log", "", "append one JSON line for each decision to `FILE`; - is standard error")
	p.set.StringVar(&p.listen, "listen", "127.0.0.1:0", "listen on `ADDR:PORT`; port 0 lets the system choose, none listens on no port")
	p.set.BoolVar(&p.allowRemote, "allow-remote", false, "let --listen name an address that other machines can reach")
	p.set.StringVar(&p.socket, "socket", "", "listen on a Unix socket made at `PATH` as well")
	p.control.define(p.set)
	p.policy.upstream.define(p.set)
	p.external.define(p.set)
	return p
}

func (p *proxy) flagSet() *pflag.FlagSet { return p.set }

// ready is the line on standard output that says where the proxy listens.
type ready struct {
	Addr   string `json:"addr"`   // "" without a TCP listener
	Port   int    `json:"port"`   // 0 without a TCP listener
	Socket string `json:"socket"` // "" without --socket
	// Control are the control sockets, in the order of the options.
	Control []string `json:"control,omitempty"`
	// CABundle is the PEM file that clients must trust, "" if nothing intercepts TLS.
	CABundle string `json:"ca_bundle"`
}

// run runs the proxy until a signal ends it or it dies.
func (p *proxy) run(s Streams, args []string) int {
	at, err := listenAt(p.listen, p.allowRemote)
	problems := []error{err}
	if len(args) > 0 {
		problems = append(problems, fmt.Errorf("proxy takes no arguments, got %q; sallyport run runs a command", args[0]))
	}
	if err == nil && at.port < 0 && p.socket == "" && len(p.control.specs) == 0 {
		problems = append(problems, errors.New("--listen none needs --socket PATH or --control PATH, or nothing could reach the proxy"))
	}
	if err := errors.Join(problems...); err != nil {
		complain(s.Stderr, err)
		return exitUsage
	}
	pol, err := p.policy.load()
	if err != nil {
		complain(s.Stderr, err)
		return exitUsage
	}
	controls, err := p.control.load(pol)
	if err != nil {
		complain(s.Stderr, err)
		return exitUsage
	}
	b, err := prepare(pol, &p.external)
	if err != nil {
		complain(s.Stderr, err)
		return exitUsage
	}
	defer b.close()
	log, err := openLog(s, p.log)
	if err != nil {
		complain(s.Stderr, err)
		return exitFailed
	}
	defer log.Close()
	warn(s.Stderr, pol.filter)
	controls.warn(s.Stderr)
	return p.serve(s, at, pol, controls, b, log)
}

// serve starts the proxy, says where it is, and waits for its end.
func (p *proxy) serve(s Streams, at listenAddr, pol *policy, controls controlSockets, b *backend, log *decisionlog.Log) int {
	sigs := make(chan os.Signal, 16)
	signal.Notify(sigs, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(sigs)
	quit.Release() // from here on it prints stacks, which tells what a proxy hangs on
	ignoreBrokenPipes()

	ops := logger(s.Stderr, slog.LevelInfo)
	record := log.Record
	if p.log == "" {
		record = denialsTo(ops)
	}
	h, err := p.start(at, b, proxycore.Config{Filter: pol.filter, Hosts: pol.hosts, Logger: ops, Record: record})
	if err != nil {
		complain(s.Stderr, err)
		return exitFailed
	}
	defer h.Close()
	if err := controls.start(h, &p.control, ops); err != nil {
		complain(s.Stderr, err)
		return exitFailed
	}
	line, _ := json.Marshal(ready{h.Addr(), h.Port(), h.SocketPath(), controls.paths(), h.CABundle()})
	if _, err := s.Stdout.Write(append(line, '\n')); err != nil {
		complain(s.Stderr, fmt.Errorf("saying that the proxy is ready: %w", err))
		return exitFailed
	}
	if pol.filter.Len() == 0 && !controls.ownPolicies() {
		ops.Warn("nothing is allowed: every request will be denied; --allow HOST allows a host")
	}
	return p.wait(s, h, pol, controls, sigs, ops)
}

// start starts the built-in proxy, what is behind it and, if asked for, the socket in front of it.
func (p *proxy) start(at listenAddr, b *backend, cfg proxycore.Config) (*proxycore.Handle, error) {
	// Starting is bounded by the libraries, in seconds, and undone on failure.
	ctx := context.Background()
	h, err := b.start(ctx, proxycore.BuiltIn{Config: cfg, Addr: at.host, Port: at.port})
	if err != nil || p.socket == "" {
		return h, err
	}
	return bridge.Socket{Path: p.socket}.Start(ctx, h)
}

// wait serves signals until the proxy ends, and returns the exit status.
func (p *proxy) wait(s Streams, h *proxycore.Handle, pol *policy, controls controlSockets, sigs <-chan os.Signal, ops *slog.Logger) int {
	for {
		select {
		case <-h.Done():
			complain(s.Stderr, errors.New("the proxy stopped: "+wording(h.Err())))
			return exitFailed
		case sig := <-sigs:
			if sig == syscall.SIGHUP {
				p.reload(h, pol, controls, ops)
				continue
			}
			return drain(s, h, sigs, ops)
		}
	}
}

// reload reads the policy anew. Whatever is wrong with it, the old one stays.
func (p *proxy) reload(h *proxycore.Handle, old *policy, controls controlSockets, ops *slog.Logger) {
	const kept = "the policy was not reloaded, the old one stays"
	fresh, err := p.policy.load()
	if err != nil {
		for _, one := range flatten(err) {
			ops.Error(kept, "error", wording(one))
		}
		return
	}
	if !reflect.DeepEqual(fresh.hosts, old.hosts) {
		ops.Error(kept, "error", "resolve has changed, which takes a restart")
		return
	}
	if !fresh.upstream.same(old.upstream) {
		// Tunnels through the old one would go on, and what was meant for the new one with them.
		ops.Error(kept, "error", "upstream has changed, which takes a restart")
		return
	}
	commit, err := controls.reload(fresh)
	if err == nil {
		err = h.SetFilter(fresh.filter)
	}
	if err != nil {
		ops.Error(kept, "error", wording(err))
		return
	}
	commit(ops)
	for _, text := range fresh.filter.Warnings() {
		ops.Warn(text)
	}
	ops.Info("policy reloaded", "allow_patterns", fresh.filter.Len())
}

// drain stops accepting, waits for the tunnels to end, and cuts them when
// another signal arrives.
func drain(s Streams, h *proxycore.Handle, sigs <-chan os.Signal, ops *slog.Logger) int {
	ops.Info("draining: no new connections; the same signal again cuts the tunnels that are left")
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	finished := make(chan error, 1)
	go func() { finished <- h.Shutdown(ctx) }()
	for {
		select {
		case err := <-finished:
			return ended(s, h, err)
		case sig := <-sigs:
			if sig == syscall.SIGHUP {
				continue // nothing new will be asked of a policy
			}
			ops.Info("cutting the tunnels that are left")
			cut()
			err := h.Close()
			<-finished
			return ended(s, h, err)
		}
	}
}

// ended is the exit status after an end that was asked for: a failure only if
// something, such as a record that could not be written, went wrong in it. err is
// what Close or Shutdown said.
func ended(s Streams, h *proxycore.Handle, err error) int {
	if err == nil {
		err = h.Err()
	}
	if err != nil {
		complain(s.Stderr, fmt.Errorf("stopping: %w", err))
		return exitFailed
	}
	return exitOK
}

// denialsTo makes refusals and failures operational messages, for a proxy without a
// decision log: whoever watches it wants to know why a program fails.
func denialsTo(ops *slog.Logger) func(proxycore.Record) error {
	return func(r proxycore.Record) error {
		args := []any{"host", r.Host, "port", r.Port, "reason", r.Reason, "rule", r.Rule, "client", r.Client, "method", r.Method}
		if r.Sandbox != "" {
			args = append(args, "sandbox", r.Sandbox)
		}
		if r.Decision == proxycore.DecisionDeny {
			ops.Info("denied", args...)
		}
		if summary.Failed(r) {
			if r.Upstream != "" {
				args = append(args, "upstream", r.Upstream, "upstream_status", r.UpstreamStatus)
			}
			ops.Info("failed", args...)
		}
		return nil
	}
}
