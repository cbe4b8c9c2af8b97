// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A step is one check with a name of its own.
type step struct {
	name  string
	about string
	tools []string // programs the step cannot do without
	group *group   // the steps it may run beside; nil: none, because it uses the whole machine itself
	run   func(ctx context.Context, o *output) error
}

// A group is a number of steps in a row that may run beside each other, at most width at a time.
type group struct{ width int }

// output is what one step has to say: its text, its tally, and what it left out.
type output struct {
	w       io.Writer
	tally   tally
	skipped []skip
}

type tally struct{ passed, failed int }

type skip struct{ what, why string }

func (o *output) skip(what, why string) { o.skipped = append(o.skipped, skip{what, why}) }

// report runs steps and remembers how they went.
type report struct {
	w     io.Writer
	ci    bool
	start time.Time

	mu      sync.Mutex // guards everything below, and w
	total   tally
	failed  []string
	skipped []skip
}

func newReport(w io.Writer, ci bool) *report {
	return &report{w: w, ci: ci, start: time.Now()}
}

// runAll runs the steps in their order, those of one group beside each other.
func (r *report) runAll(ctx context.Context, steps []step) {
	for len(steps) > 0 {
		n := 1
		for n < len(steps) && steps[0].group != nil && steps[n].group == steps[0].group {
			n++
		}
		if n == 1 {
			fmt.Fprintf(r.w, "\n=== %s: %s\n", steps[0].name, steps[0].about)
			r.runStep(ctx, steps[0], r.w)
		} else {
			r.runGroup(ctx, steps[:n])
		}
		steps = steps[n:]
	}
}

func (r *report) runGroup(ctx context.Context, steps []step) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, steps[0].group.width)
	for _, s := range steps {
		slots <- struct{}{}
		wg.Go(func() {
			r.runBuffered(ctx, s)
			<-slots
		})
	}
	wg.Wait()
}

// runBuffered keeps the text of a step together, so that steps beside each other stay readable.
func (r *report) runBuffered(ctx context.Context, s step) {
	var text bytes.Buffer
	fmt.Fprintf(&text, "\n=== %s: %s\n", s.name, s.about)
	r.runStep(ctx, s, &text)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(text.Bytes())
}

func (r *report) runStep(ctx context.Context, s step, w io.Writer) {
	o := &output{w: w}
	begin := time.Now()
	err := ctx.Err()
	if missing := missingTools(s.tools); err == nil && missing != "" {
		o.skip(s.name, missing+" not installed: run scripts/setup as root, or see what it prints")
	} else if err == nil {
		err = s.run(ctx, o)
	}
	if err == nil && o.tally.failed > 0 {
		err = fmt.Errorf("%d failed", o.tally.failed)
	}
	if o.tally == (tally{}) { // a step without tests counts as one
		if err != nil {
			o.tally.failed = 1
		} else if len(o.skipped) == 0 {
			o.tally.passed = 1
		}
	}
	verdict := "ok"
	if err != nil {
		verdict = "FAILED: " + err.Error()
		o.tally.failed = max(o.tally.failed, 1)
	}
	fmt.Fprintf(w, "--- %s: %s (%.1f s)\n", s.name, verdict, time.Since(begin).Seconds())

	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = append(r.failed, s.name+": "+err.Error())
	}
	r.total.passed += o.tally.passed
	r.total.failed += o.tally.failed
	r.skipped = append(r.skipped, o.skipped...)
}

// errFailed says only that the report has named failures.
var errFailed = errors.New("some checks failed")

// finish prints what was skipped, what failed and the totals. Its error is errFailed or nil.
func (r *report) finish() error {
	fmt.Fprintln(r.w)
	for _, s := range r.skipped {
		fmt.Fprintf(r.w, "skipped: %s: %s\n", s.what, s.why)
	}
	var err error
	if r.ci && len(r.skipped) > 0 {
		r.total.failed += len(r.skipped)
		fmt.Fprintln(r.w, "failed: in CI nothing may be skipped")
		err = errFailed
	}
	for _, f := range r.failed {
		fmt.Fprintf(r.w, "failed: %s\n", f)
		err = errFailed
	}
	fmt.Fprintf(r.w, "finished in %s\n", time.Since(r.start).Round(time.Second))
	fmt.Fprintf(r.w, "%d passed, %d failed\n", r.total.passed, r.total.failed)
	return err
}

func missingTools(tools []string) string {
	var missing []string
	for _, t := range tools {
		if _, err := exec.LookPath(t); err != nil {
			missing = append(missing, t)
		}
	}
	return strings.Join(missing, ", ")
}
