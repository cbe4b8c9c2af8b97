// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// run is the command run.
func (a *app) run(args []string) int {
	var r runFlags
	report, status := a.suite("run", &r, args, a.stdout)
	if report == nil {
		return status
	}
	out := a.stdout
	if r.json {
		out = a.stderr
		if err := report.WriteJSON(a.stdout); err != nil {
			return a.invalid(err)
		}
	}
	for _, p := range report.Problems {
		fmt.Fprintf(out, "PROBLEM %s\n", p)
	}
	fmt.Fprintln(out, report.Summary())
	if status != exitOK {
		return status
	}
	return verdict(report, r.require, out)
}

// verdict is the exit status for a report, and the warning of one that is partial.
func verdict(report *conformance.Report, require bool, out io.Writer) int {
	switch report.Verdict {
	case conformance.VerdictConformant:
		return exitOK
	case conformance.VerdictPartial:
		fmt.Fprintln(out, "partial: not everything was asked"+partly(report))
		if require {
			return exitNotConformant
		}
		return exitOK
	case conformance.VerdictNotConformant:
		return exitFailed
	}
	return exitInvalid
}

// partly says what keeps a run from being conformant.
func partly(report *conformance.Report) string {
	why := append([]string{}, report.Backend.Restrictions...)
	if n := report.Count(conformance.Deselected); n > 0 {
		why = append(why, fmt.Sprintf("%d checks were left out", n))
	}
	if n := report.Count(conformance.Known); n > 0 {
		why = append(why, fmt.Sprintf("%d are known to fail", n))
	}
	return ": " + strings.Join(why, "; ")
}

// baseline is the command baseline.
func (a *app) baseline(args []string) int {
	var r runFlags
	report, status := a.suite("baseline", &r, args, io.Discard)
	if report == nil {
		return status
	}
	fmt.Fprintln(a.stderr, report.Summary())
	if status != exitOK || report.Verdict == conformance.VerdictInvalid {
		return exitInvalid
	}
	fmt.Fprintf(a.stdout, "# What %s fails of specification %s. Behind each id: why. Strict: what passes has to leave.\n",
		strings.TrimSpace(report.Backend.Name+" "+report.Backend.Version), report.Spec)
	for _, c := range report.Checks {
		switch c.Outcome {
		case conformance.Known:
			fmt.Fprintf(a.stdout, "%s  %s\n", c.ID, c.Reason)
		case conformance.Fail:
			fmt.Fprintf(a.stdout, "%s  %s\n", c.ID, firstLine(c.Findings[0].Text))
		}
	}
	return exitOK
}

// firstLine is a text as it may stand behind an id.
func firstLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 160 {
		s = string(r[:160]) + "…"
	}
	return s
}

// suite parses the flags, enters the fake Internet and runs the suite. Without a report it has said why; a status
// other than 0 beside one says that it could not be written.
func (a *app) suite(name string, r *runFlags, args []string, out io.Writer) (*conformance.Report, int) {
	f := a.flags(name)
	r.add(f)
	if done, status := a.parse(f, args); done {
		return nil, status
	}
	if err := r.check(f.Args()); err != nil {
		return nil, a.wrong(err)
	}
	b, err := r.backend(a.stderr)
	if err != nil {
		return nil, a.wrong(err)
	}
	p := &progress{app: a, flags: r, out: out, total: len(conformance.Catalog()) * r.repeat}
	if r.json {
		p.out = a.stderr
	}
	opts := append(r.options(), conformance.Progress(p.one))
	if err := conformance.Validate(b, opts...); err != nil {
		return nil, a.wrong(err)
	}
	if err := fixtures.Enter(); err != nil {
		return nil, a.invalid(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	p.begin(b)
	report, err := conformance.Execute(ctx, b, opts...)
	p.end()
	if err != nil {
		return report, a.invalid(err)
	}
	return report, exitOK
}
