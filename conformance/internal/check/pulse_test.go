// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func TestPulseCountsWhatWasMissed(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	p := &pulse{last: begin}
	for _, step := range []struct{ at, want time.Duration }{
		{100 * time.Millisecond, 0},
		{650 * time.Millisecond, 0},                                     // late, as on a busy machine
		{650*time.Millisecond + 4100*time.Millisecond, 4 * time.Second}, // stood still
		{650*time.Millisecond + 4100*time.Millisecond, 4 * time.Second}, // and is counted once
		{4850 * time.Millisecond, 4 * time.Second},
	} {
		if got := p.lost(begin.Add(step.at)); got != step.want {
			t.Errorf("at %v: %v lost, want %v", step.at, got, step.want)
		}
	}
}

func TestPulseOfAMachineThatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		defer p.close()
		<-time.After(time.Hour)
		if got := p.lost(time.Now()); got != 0 {
			t.Errorf("%v lost", got)
		}
	})
}

// A failure that was seen while nothing ran is an error, a pass stays a pass, and an error is not talked over.
func TestConcludeAfterAStandstill(t *testing.T) {
	t.Parallel()
	finding := []oracle.Finding{{Kind: oracle.ClientStatus, Text: "no answer"}}
	for _, c := range []struct {
		name  string
		given Result
		lost  time.Duration
		want  Outcome
	}{
		{"failure", Result{Findings: finding}, 0, Fail},
		{"failure after a standstill", Result{Findings: finding}, 4 * time.Second, Error},
		{"pass after a standstill", Result{}, 4 * time.Second, Pass},
		{"error after a standstill", Result{Outcome: Error, Reason: "as it was"}, 4 * time.Second, Error},
	} {
		x := &X{result: c.given}
		r := x.conclude(ending{lost: c.lost})
		if r.Outcome != c.want {
			t.Errorf("%s: %v, want %v", c.name, r.Outcome, c.want)
		}
		if stood := strings.Contains(r.Reason, "4s"); stood != (c.want == Error && c.given.Outcome != Error) {
			t.Errorf("%s: the reason is %q", c.name, r.Reason)
		}
	}
}
