// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

// Execute runs the suite against b without any test framework. The error says that the run could not
// even begin: b is incomplete, an option or the baseline names what does not exist, or the process is not
// inside the fake Internet (fixtures.Enter). Whatever happens later is in the report, whose verdict is
// VerdictInvalid when checks could not be carried out.
//
// Only one run may be under way in a process at a time.
func Execute(ctx context.Context, b Backend, opts ...Option) (*Report, error) {
	var all []*Report
	for {
		r, err := newRun(b, opts)
		if err != nil {
			return nil, err
		}
		r.shuffle(len(all))
		if err := r.open(); err != nil {
			return nil, err
		}
		r.all(ctx)
		all = append(all, r.close())
		if len(all) == r.o.repeat || ctx.Err() != nil {
			report := merge(all)
			report.Seed = r.o.seed
			return report, r.o.write(report)
		}
	}
}

// Validate returns the error with which Execute would refuse to begin because of b and opts, and runs nothing. It
// works everywhere, not only inside the fake Internet.
func Validate(b Backend, opts ...Option) error {
	_, err := newRun(b, opts)
	return err
}

// all runs the checks one after another.
func (r *run) all(ctx context.Context) {
	for _, c := range r.checks {
		if ctx.Err() != nil {
			r.add(c, check.Result{ID: c.ID, Outcome: check.Error, Reason: "the run was cancelled"})
			continue
		}
		r.one(ctx, c)
	}
}

// run is one run of the suite, whichever runner drives it.
type run struct {
	backend Backend
	o       options
	checks  []check.Check
	world   *world.World
	session *check.Session
	report  *Report
	begin   time.Time
}

// newRun validates what the caller gave.
func newRun(b Backend, opts []Option) (*run, error) {
	o := newOptions(opts)
	all := checks.All()
	if b.Name == "" {
		return nil, errors.New("conformance: Backend.Name is empty")
	}
	if b.Start == nil {
		return nil, errors.New("conformance: Backend.Start is nil")
	}
	if err := b.Features.unknown(); err != nil {
		return nil, err
	}
	if err := b.Restrictions.check(); err != nil {
		return nil, err
	}
	if !b.Features.Has(TCP) && !b.Features.Has(Unix) && !b.Features.Has(Sandbox) {
		return nil, errors.New("conformance: the backend claims no entry point: TCP, Unix or Sandbox")
	}
	if err := o.check(all); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, c := range all {
		known[c.ID] = true
	}
	for _, id := range b.Known.IDs() {
		if !known[id] {
			return nil, fmt.Errorf("conformance: the baseline lists %s, which is no check", id)
		}
	}
	return &run{backend: b, o: o, checks: all, report: newReport(b)}, nil
}

// open starts the world. It is paired with close.
func (r *run) open() error {
	w, err := world.Open()
	if err != nil {
		return err
	}
	r.world, r.begin = w, time.Now()
	r.session = check.NewSession(subject(r.backend), w, r.o.times)
	return nil
}

// one runs a check, weighs it against the baseline and enters it in the report.
func (r *run) one(ctx context.Context, c check.Check) check.Result {
	if !r.o.selects(c.ID) {
		return r.add(c, check.Result{ID: c.ID, Outcome: check.Deselected, Reason: "no pattern of the selection matches it"})
	}
	return r.add(c, weigh(r.session.Run(ctx, c), r.backend.Known))
}

// weigh applies the baseline: what is listed has to fail.
func weigh(res check.Result, known *Baseline) check.Result {
	reason, listed := known.Reason(res.ID)
	if !listed {
		return res
	}
	switch res.Outcome {
	case check.Fail:
		res.Outcome, res.Reason = check.Known, reason
	case check.Pass:
		res.Outcome, res.Reason = check.Stale, "the baseline lists it, and it passes: take it out ("+reason+")"
	case check.NA:
		res.Outcome, res.Reason = check.Stale, "the baseline lists it, and it does not apply: take it out ("+res.Reason+")"
	}
	return res
}

func (r *run) add(c check.Check, res check.Result) check.Result {
	r.report.add(c, res)
	if r.o.progress != nil {
		r.o.progress(r.report.Checks[len(r.report.Checks)-1])
	}
	return res
}

// close ends session and world, and completes the report.
func (r *run) close() *Report {
	for _, c := range r.checks {
		if !r.report.has(c.ID) { // a filter of the caller's runner: what it left out has not passed
			r.add(c, check.Result{ID: c.ID, Outcome: check.Deselected, Reason: "the runner left it out"})
		}
	}
	err := errors.Join(r.session.Close(), r.world.Close())
	r.report.finish(time.Since(r.begin), err)
	return r.report
}

// subject is the backend in the types of the checks.
func subject(b Backend) check.Subject {
	features := map[string]bool{}
	for _, f := range b.Features.List() {
		features[string(f)] = true
	}
	fixed := ""
	if b.Restrictions.HeadTimeout {
		fixed = "the check waits for the time-out of the head, which cannot be set"
	}
	return check.Subject{
		Name: b.Name, Version: b.Version, Features: features, FixedHeadTimeout: fixed,
		Declines: func(c check.Config, own bool) string { return b.Restrictions.declines(config(c), own) },
		Start: func(ctx context.Context, c check.Config) (*check.Instance, error) {
			i, err := b.Start(ctx, config(c))
			if i == nil || err != nil {
				return nil, err
			}
			return instance(i), nil
		},
	}
}

// config is c in the types backends know.
func config(c check.Config) Config {
	return Config{
		Allow: c.Allow, Deny: c.Deny, Port: c.Port, SocketPath: c.SocketPath, HeadTimeout: c.HeadTimeout,
		Upstream: (*Upstream)(c.Upstream), Child: (*Child)(c.Child), Transparent: c.Transparent,
		Dir: c.Dir, Log: c.Log,
	}
}

func instance(i *Instance) *check.Instance {
	out := &check.Instance{
		Addr: i.Addr, SocketPath: i.SocketPath, CABundle: i.CABundle, Stop: i.Stop, Kill: i.Kill, Done: i.Done,
	}
	if i.Launch != nil {
		out.Launch = func(ctx context.Context, c check.LaunchConfig) (*exec.Cmd, error) {
			return i.Launch(ctx, LaunchConfig(c))
		}
	}
	return out
}
