// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// Verdict sums a run up.
type Verdict string

// Verdicts.
const (
	// VerdictConformant: everything that applies was run and passed.
	VerdictConformant Verdict = "conformant"
	// VerdictPartial: what was run passed, but checks were left out or are known to fail.
	VerdictPartial Verdict = "partial"
	// VerdictNotConformant: a check failed, or the baseline lists one that does not.
	VerdictNotConformant Verdict = "not-conformant"
	// VerdictInvalid: checks could not be carried out, or none was. It says nothing of the backend.
	VerdictInvalid Verdict = "invalid"
)

// Outcome is how one check came out.
type Outcome string

// Outcomes of a check.
const (
	Pass       Outcome = Outcome(check.Pass)
	Fail       Outcome = Outcome(check.Fail)
	Error      Outcome = Outcome(check.Error)      // suite or backend could not carry it out
	NA         Outcome = Outcome(check.NA)         // it does not apply to what the backend claims
	Known      Outcome = Outcome(check.Known)      // it failed and the baseline says so
	Stale      Outcome = Outcome(check.Stale)      // it did not fail and the baseline says that it does
	Deselected Outcome = Outcome(check.Deselected) // Select left it out
)

// SchemaVersion is the version of report.json.
const SchemaVersion = 1

// Report is the result of a run, and the content of report.json.
type Report struct {
	SchemaVersion int           `json:"schemaVersion"`
	Spec          string        `json:"spec"`
	Verdict       Verdict       `json:"verdict"`
	Backend       BackendReport `json:"backend"`
	Host          HostReport    `json:"host"`
	Started       time.Time     `json:"started"`
	Millis        int64         `json:"millis"`
	// Policies are the policies the instances were started with, by the names the checks use.
	Policies map[string]PolicyReport `json:"policies"`
	Checks   []CheckReport           `json:"checks"`
	// Problems are errors outside any check: an instance that would not stop.
	Problems []string `json:"problems,omitempty"`
}

// BackendReport says what was tested.
type BackendReport struct {
	Name      string    `json:"name"`
	Version   string    `json:"version"`
	Claimed   []Feature `json:"claimed"`
	Unclaimed []Feature `json:"unclaimed"`
}

// HostReport says where.
type HostReport struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

// PolicyReport is one policy.
type PolicyReport struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny,omitempty"`
}

// CheckReport is the result of one check.
type CheckReport struct {
	ID          string          `json:"id"`
	Requirement string          `json:"requirement"`
	Level       string          `json:"level"`
	Outcome     Outcome         `json:"outcome"`
	Reason      string          `json:"reason,omitempty"`
	Findings    []FindingReport `json:"findings,omitempty"`
	Evidence    []check.Line    `json:"evidence,omitempty"`
	Log         string          `json:"log,omitempty"`
	Millis      int64           `json:"millis"`

	text string
}

// FindingReport is one thing that spoke against the backend, and the witness it rests on.
type FindingReport struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Text is the result in the fixed shape of the failure texts.
func (c CheckReport) Text() string { return c.text }

func newReport(b Backend) *Report {
	r := &Report{
		SchemaVersion: SchemaVersion, Spec: SpecVersion, Started: time.Now().UTC(), Verdict: VerdictInvalid,
		Backend: BackendReport{Name: b.Name, Version: b.Version, Claimed: b.Features.List(), Unclaimed: []Feature{}},
		Host:    HostReport{OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()},
		Checks:  []CheckReport{}, Policies: map[string]PolicyReport{},
	}
	for _, f := range AllFeatures() {
		if !b.Features.Has(f) {
			r.Backend.Unclaimed = append(r.Backend.Unclaimed, f)
		}
	}
	for name, p := range vectors.Policies() {
		r.Policies[name] = PolicyReport{Allow: slices.Clone(p.Allow), Deny: slices.Clone(p.Deny)}
	}
	return r
}

func (r *Report) add(c check.Check, res check.Result) {
	req := requirements()[c.Requirement()]
	out := CheckReport{
		ID: c.ID, Requirement: c.Requirement(), Level: req.level, Outcome: Outcome(res.Outcome), Reason: res.Reason,
		Evidence: res.Lines, Log: res.Log, Millis: res.Duration.Milliseconds(),
	}
	for _, f := range res.Findings {
		out.Findings = append(out.Findings, FindingReport{Kind: string(f.Kind), Text: f.Text})
	}
	name := fmt.Sprintf("%s %s, spec %s", r.Backend.Name, r.Backend.Version, SpecVersion)
	out.text = res.Text(name, req.rule+"   SPEC.md#"+req.anchor)
	r.Checks = append(r.Checks, out)
}

func (r *Report) finish(took time.Duration, problem error) {
	r.Millis = took.Milliseconds()
	if problem != nil {
		r.Problems = append(r.Problems, problem.Error())
	}
	r.Verdict = r.verdict()
}

// Count returns how many checks came out so.
func (r *Report) Count(o Outcome) int {
	n := 0
	for _, c := range r.Checks {
		if c.Outcome == o {
			n++
		}
	}
	return n
}

// verdict is worst first: a run that could not be carried out says nothing, a failure is a failure
// whatever else was left out.
func (r *Report) verdict() Verdict {
	switch {
	case r.Count(Error) > 0 || len(r.Problems) > 0 || r.Count(Pass)+r.Count(Fail)+r.Count(Known)+r.Count(Stale) == 0:
		return VerdictInvalid
	case r.Count(Fail)+r.Count(Stale) > 0:
		return VerdictNotConformant
	case r.Count(Deselected)+r.Count(Known) > 0:
		return VerdictPartial
	}
	return VerdictConformant
}

// Summary is the verdict and the counts in one line.
func (r *Report) Summary() string {
	s := fmt.Sprintf("%s: %s %s, spec %s:", r.Verdict, r.Backend.Name, r.Backend.Version, r.Spec)
	for _, o := range []Outcome{Pass, Fail, Error, Known, Stale, NA, Deselected} {
		if n := r.Count(o); n > 0 {
			s += fmt.Sprintf(" %d %s", n, o)
		}
	}
	return s
}
