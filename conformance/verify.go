// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"io"
	"slices"
)

// Verify reads a report.json and returns what speaks against its being the complete result of a run: a
// check of its specification that is missing, there twice or unknown, one whose requirement, level or
// outcome is not what the suite would have written, and a verdict that the checks do not bear out. No
// problems does not mean that the backend conforms; the verdict says that. The error says that r holds no
// report this suite can read.
//
// Nothing in a report proves that the run took place: to be sure, run the suite again.
func Verify(r io.Reader) (problems []string, err error) {
	report, err := ReadReport(r)
	if err != nil {
		return nil, err
	}
	if report.Spec != SpecVersion {
		return []string{fmt.Sprintf("the report is of spec %q, and this suite has only %s", report.Spec, SpecVersion)}, nil
	}
	note := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if report.Backend.Name == "" {
		note("the backend has no name")
	}
	if report.Suite == "" {
		note("the report does not say which version of the suite made it")
	}
	known := map[string]CheckInfo{}
	for _, info := range Catalog() {
		known[info.ID] = info
	}
	seen := map[string]int{}
	for _, c := range report.Checks {
		seen[c.ID]++
		info, ok := known[c.ID]
		if !ok {
			note("%q is no check of spec %s", c.ID, report.Spec)
			continue
		}
		problems = append(problems, verifyCheck(c, info, report.Backend)...)
	}
	for _, info := range Catalog() {
		switch n := seen[info.ID]; {
		case n == 0:
			note("%s is missing", info.ID)
		case n > 1:
			note("%s is there %d times", info.ID, n)
		}
	}
	if want := report.verdict(); report.Verdict != want {
		note("the verdict is %q, and the checks make it %q", report.Verdict, want)
	}
	return problems, nil
}

// verifyCheck compares one check with the catalogue and with itself.
func verifyCheck(c CheckReport, info CheckInfo, b BackendReport) (problems []string) {
	note := func(format string, args ...any) {
		problems = append(problems, c.ID+": "+fmt.Sprintf(format, args...))
	}
	if c.Requirement != info.Requirement || c.Level != info.Level {
		note("it is %s of %q, not %s of %q", info.Level, info.Requirement, c.Level, c.Requirement)
	}
	why, applies := info.applies(b.Claimed)
	switch c.Outcome {
	case Pass:
		if len(c.Findings) > 0 {
			note("it passed with findings")
		}
	case Fail, Known:
		if len(c.Findings) == 0 {
			note("it failed without a finding")
		}
	case Error, NA, Stale, Deselected:
		if c.Reason == "" {
			note("outcome %s without a reason", c.Outcome)
		}
	default:
		note("%q is no outcome", c.Outcome)
	}
	if applies && c.Outcome == NA && len(b.Restrictions) == 0 {
		note("outcome %s, though the backend claims what it needs and nothing restricts the suite", c.Outcome)
	}
	if !applies && slices.Contains([]Outcome{Pass, Fail, Known}, c.Outcome) {
		note("outcome %s, though it does not apply: %s", c.Outcome, why)
	}
	return problems
}

// applies says whether the check applies to a backend that claims these features, and if not, why.
func (c CheckInfo) applies(claimed []Feature) (why string, ok bool) {
	for _, f := range c.Needs {
		if !slices.Contains(claimed, Feature(f)) {
			return "it needs " + f, false
		}
	}
	if c.Unclaimed != "" && slices.Contains(claimed, Feature(c.Unclaimed)) {
		return "it is for backends without " + c.Unclaimed, false
	}
	return "", true
}
