// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package check is what the checks are made of: the table's type, the subject under test, the record of
// one execution and the runner. A check body is a plain function; it knows neither ginkgo nor testing,
// and it cannot skip: whether a check applies is the runner's decision, from what the backend claims.
package check

import (
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

// Check is one row of the catalogue.
type Check struct {
	// ID is the requirement's id, a dot and a name: "CONNECT-003.client-half-close".
	ID string
	// Summary says in one line what is checked.
	Summary string
	// Needs lists the features without which the check does not apply.
	Needs []string
	// Unclaimed, if set, names a feature: the check applies only to backends that do not claim it, and
	// verifies that they refuse what they cannot do.
	Unclaimed string
	// Slow checks wait for a time-out of the proxy.
	Slow bool
	// Run is the body.
	Run func(x *X)
}

// Requirement is the part of the id before the dot.
func (c Check) Requirement() string {
	for i, r := range c.ID {
		if r == '.' {
			return c.ID[:i]
		}
	}
	return c.ID
}

// Outcome is how a check came out.
type Outcome string

// Outcomes of a check.
const (
	Pass       Outcome = "pass"
	Fail       Outcome = "fail"
	Error      Outcome = "error" // the suite or the backend could not do it
	NA         Outcome = "na"
	Known      Outcome = "known" // in the baseline, and failed
	Stale      Outcome = "stale" // in the baseline, and passed
	Deselected Outcome = "deselected"
)

// Line is one labelled line of the record, in the order it was made.
type Line struct {
	Label string `json:"label"`
	Text  string `json:"text"`
}

// Result is the record of one check.
type Result struct {
	ID       string
	Outcome  Outcome
	Reason   string // of na, known, stale, deselected and error
	Findings []oracle.Finding
	Lines    []Line
	Duration time.Duration
	Log      string // the end of what the proxy said, of checks that did not pass
}

// Kind is the evidence the first finding rests on, "" when there is none.
func (r Result) Kind() oracle.Kind {
	if len(r.Findings) == 0 {
		return ""
	}
	return r.Findings[0].Kind
}

// Text is the record in a fixed shape, one labelled line for everything both witnesses saw.
func (r Result) Text(backend, requirement string) string {
	text := fmt.Sprintf("%-5s %s   (%s)\n", label(r.Outcome), r.ID, backend)
	add := func(label, body string) { text += fmt.Sprintf("  %-8s %s\n", label, body) }
	add("Rule", requirement)
	for _, l := range r.Lines {
		add(l.Label, l.Text)
	}
	for _, f := range r.Findings {
		add("NOT OK", fmt.Sprintf("%s  [%s]", f.Text, f.Kind))
	}
	if r.Reason != "" {
		add("Because", r.Reason)
	}
	return text
}

func label(o Outcome) string {
	switch o {
	case Fail:
		return "FAIL"
	case Error:
		return "ERROR"
	case Stale:
		return "STALE"
	}
	return string(o)
}
