// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"strings"
	"testing"
)

// TestMerge: one failure in any repetition is what the report says, and in which.
func TestMerge(t *testing.T) {
	t.Parallel()
	id := Catalog()[0].ID
	for _, c := range []struct {
		outcomes []Outcome
		want     Outcome
		in       []int
		verdict  Verdict
	}{
		{[]Outcome{Pass, Pass, Pass}, Pass, nil, VerdictConformant},
		{[]Outcome{Pass, Fail, Pass}, Fail, []int{2}, VerdictNotConformant},
		{[]Outcome{Fail, Fail}, Fail, nil, VerdictNotConformant},
		{[]Outcome{Fail, Pass, Error}, Error, []int{3}, VerdictInvalid},
		{[]Outcome{Known, Stale}, Stale, []int{2}, VerdictNotConformant},
		{[]Outcome{Known, Known}, Known, nil, VerdictPartial},
		{[]Outcome{NA, Pass}, Pass, []int{2}, VerdictConformant},
	} {
		var all []*Report
		for _, o := range c.outcomes {
			all = append(all, &Report{Checks: []CheckReport{{ID: id, Outcome: o, Reason: "why"}}, Millis: 10})
		}
		r := merge(all)
		got := r.Checks[0]
		if got.Outcome != c.want || !slices.Equal(got.In, c.in) || r.Verdict != c.verdict || r.Repeat != len(all) || r.Millis != int64(10*len(all)) {
			t.Errorf("%v: %s in %v, verdict %s, %d repetitions, %d ms; want %s in %v, %s",
				c.outcomes, got.Outcome, got.In, r.Verdict, r.Repeat, r.Millis, c.want, c.in, c.verdict)
		}
		if c.in != nil && !strings.Contains(got.Reason, "repetitions: [") {
			t.Errorf("%v: the reason %q does not say in which", c.outcomes, got.Reason)
		}
	}
	problem := merge([]*Report{{}, {Problems: []string{"it would not stop"}}})
	if problem.Verdict != VerdictInvalid || len(problem.Problems) != 1 {
		t.Errorf("a problem of one repetition: verdict %s, %v", problem.Verdict, problem.Problems)
	}
}

// TestRestrictions: what cannot be asked for, and that the run is then partial at best.
func TestRestrictions(t *testing.T) {
	t.Parallel()
	core := Config{Allow: newReport(Backend{}).Policies["core"].Allow}
	other := Config{Allow: []string{"a.example"}}
	for _, c := range []struct {
		r        Restrictions
		c        Config
		own, can bool
	}{
		{Restrictions{}, other, true, true},
		{Restrictions{Policy: "core"}, core, true, true},
		{Restrictions{Policy: "core"}, core, false, true},
		{Restrictions{Policy: "core"}, other, true, false},
		{Restrictions{Policy: "core"}, Config{Allow: core.Allow, Deny: []string{"a.example"}}, false, false},
		{Restrictions{Policy: "none"}, Config{}, false, true},
		{Restrictions{Shared: true}, other, false, true},
		{Restrictions{Shared: true}, other, true, false},
		{Restrictions{HeadTimeout: true}, other, true, true},
	} {
		if why := c.r.declines(c.c, c.own); (why == "") != c.can {
			t.Errorf("%+v, %v, own instance %v: %q", c.r, c.c, c.own, why)
		}
	}
	if err := (Restrictions{Policy: "kore"}).check(); err == nil || !strings.Contains(err.Error(), "there are addresses, any, core") {
		t.Errorf("a policy there is not: %v", err)
	}
	r := newReport(Backend{Restrictions: Restrictions{Policy: "core", Shared: true, HeadTimeout: true}})
	r.Checks = []CheckReport{{Outcome: Pass}}
	if got := r.verdict(); got != VerdictPartial || len(r.Backend.Restrictions) != 3 {
		t.Errorf("verdict %s with restrictions %q, want partial and three", got, r.Backend.Restrictions)
	}
}

func TestSimilar(t *testing.T) {
	t.Parallel()
	known := []string{"tcp", "unix", "wildcards", "deep-wildcards"}
	for word, want := range map[string]string{
		"wildcard": "wildcards", "TCP": "tcp", "unx": "unix", "elephants": "", "": "",
	} {
		if got := strings.Join(similar(word, known), " "); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
