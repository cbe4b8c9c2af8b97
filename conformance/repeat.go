// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// shuffle puts the checks into the order of the seed, another one for every repetition.
func (r *run) shuffle(repetition int) {
	if r.o.seed == 0 {
		return
	}
	order := rand.New(rand.NewPCG(uint64(r.o.seed), uint64(repetition)))
	r.checks = slices.Clone(r.checks)
	order.Shuffle(len(r.checks), func(i, k int) { r.checks[i], r.checks[k] = r.checks[k], r.checks[i] })
}

// severity orders outcomes: what weighs most in a merged report is first.
var severity = []Outcome{Error, Fail, Stale, Known, Pass, NA, Deselected}

// merge makes one report of the repetitions, with the checks in the order of the specification.
func merge(all []*Report) *Report {
	out := all[0]
	byID := make([]map[string]CheckReport, len(all))
	for i, r := range all {
		byID[i] = map[string]CheckReport{}
		for _, c := range r.Checks {
			byID[i][c.ID] = c
		}
		if i > 0 {
			out.Millis += r.Millis
			out.Problems = append(out.Problems, r.Problems...)
		}
	}
	merged := []CheckReport{}
	for _, info := range Catalog() {
		if _, ok := byID[0][info.ID]; ok {
			merged = append(merged, gravest(byID, info.ID))
		}
	}
	out.Checks, out.Repeat = merged, len(all)
	out.Verdict = out.verdict()
	return out
}

// gravest is the check's first report among those of the worst outcome.
func gravest(all []map[string]CheckReport, id string) CheckReport {
	var out CheckReport
	var in []int
	rank := len(severity)
	for i, r := range all {
		c := r[id]
		switch n := slices.Index(severity, c.Outcome); {
		case n < rank:
			out, in, rank = c, []int{i + 1}, n
		case n == rank:
			in = append(in, i+1)
		}
	}
	if len(in) == len(all) {
		return out
	}
	out.In = in
	sometimes := fmt.Sprintf("%s in %d of %d repetitions: %v", out.Outcome, len(in), len(all), in)
	if out.Reason != "" {
		sometimes += "; " + out.Reason
	}
	out.Reason = sometimes
	return out
}
