// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/redact"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// Verdict sums a run up.
type Verdict string

// Verdicts.
const (
	// VerdictConformant: everything that applies was run and passed.
	VerdictConformant Verdict = "conformant"
	// VerdictPartial: what was run passed, but checks were left out, could not be asked or are known to fail.
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

// SchemaVersion is the version of report.json. It changes when a field changes its meaning or goes; that
// one is added does not change it.
const SchemaVersion = 1

// Report is the result of a run, and the content of report.json; [Schema] describes that. What Execute
// returns has no secrets in it as far as they can be told, and every writer takes them out once more.
type Report struct {
	SchemaVersion int    `json:"schemaVersion"`
	Spec          string `json:"spec"`
	// Suite is the version of this module, "(devel)" when it was not built from a released one.
	Suite   string        `json:"suite"`
	Verdict Verdict       `json:"verdict"`
	Backend BackendReport `json:"backend"`
	Host    HostReport    `json:"host"`
	Started time.Time     `json:"started"`
	Millis  int64         `json:"millis"`
	// Seed is what the order of the checks was made from; 0 is the order of the specification.
	Seed int64 `json:"seed,omitempty"`
	// Repeat is how often everything was run; every check shows the worst of its outcomes.
	Repeat int `json:"repeat"`
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
	// Restrictions are what the suite could not ask of it, in words; with any the run is partial at best.
	Restrictions []string `json:"restrictions,omitempty"`
}

// String is the name with the version, if there is one.
func (b BackendReport) String() string { return strings.TrimSpace(b.Name + " " + b.Version) }

// HostReport says where. It has no name of a host or a user in it: reports are published.
type HostReport struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
	// Kernel is the release of the Linux kernel, "" elsewhere.
	Kernel string `json:"kernel,omitempty"`
	CPUs   int    `json:"cpus"`
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
	// In lists the repetitions, from 1, that came out so, when others did not.
	In []int `json:"in,omitempty"`

	subject string // backend and version, for Text
}

// FindingReport is one thing that spoke against the backend, and the witness it rests on.
type FindingReport struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Text is the result in the fixed shape of the failure texts.
func (c CheckReport) Text() string {
	res := check.Result{ID: c.ID, Outcome: check.Outcome(c.Outcome), Reason: c.Reason, Lines: c.Evidence}
	for _, f := range c.Findings {
		res.Findings = append(res.Findings, oracle.Finding{Kind: oracle.Kind(f.Kind), Text: f.Text})
	}
	req := requirements()[c.Requirement]
	return res.Text(c.subject, req.rule+"   SPEC.md#"+req.anchor)
}

// ReadReport reads a report.json, of this schema version. It does not look for omissions: [Verify] does.
func ReadReport(r io.Reader) (*Report, error) {
	report := new(Report)
	d := json.NewDecoder(r)
	if err := d.Decode(report); err != nil {
		return nil, fmt.Errorf("conformance: reading a report: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("conformance: reading a report: there is more behind it")
	}
	if report.SchemaVersion != SchemaVersion {
		return nil, fmt.Errorf("conformance: the report has schemaVersion %d, and this suite reads %d",
			report.SchemaVersion, SchemaVersion)
	}
	return report.clean(), nil
}

func newReport(b Backend) *Report {
	r := &Report{
		SchemaVersion: SchemaVersion, Spec: SpecVersion, Suite: suiteVersion(), Started: time.Now().UTC(), Verdict: VerdictInvalid,
		Backend: BackendReport{Name: b.Name, Version: b.Version, Claimed: append([]Feature{}, b.Features.List()...), Unclaimed: []Feature{}},
		Host:    thisHost(),
		Checks:  []CheckReport{}, Policies: map[string]PolicyReport{}, Repeat: 1,
	}
	r.Backend.Restrictions = b.Restrictions.lines()
	for _, f := range AllFeatures() {
		if !b.Features.Has(f) {
			r.Backend.Unclaimed = append(r.Backend.Unclaimed, f)
		}
	}
	for name, p := range vectors.Policies() {
		r.Policies[name] = PolicyReport{Allow: append([]string{}, p.Allow...), Deny: append([]string{}, p.Deny...)}
	}
	return r.clean()
}

func thisHost() HostReport {
	h := HostReport{OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(), CPUs: runtime.NumCPU()}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		h.Kernel = strings.TrimSpace(string(release))
	}
	return h
}

// suiteVersion is the version of this module in the binary, as a dependency or as its main module.
func suiteVersion() string {
	const path = "github.com/sallyport-dev/sallyport/conformance"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == path && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}

// clean returns a copy of the report without secrets, and is the only place where they are taken out: all
// that enters a report goes through it, and so does all that a writer writes.
func (r *Report) clean() *Report {
	c := redact.Value(redact.ForEnviron(), *r)
	for i := range c.Checks {
		c.Checks[i].subject = c.subject()
	}
	return &c
}

func (r *Report) subject() string {
	return fmt.Sprintf("%s, spec %s", r.Backend, r.Spec)
}

func (r *Report) add(c check.Check, res check.Result) {
	out := CheckReport{
		ID: c.ID, Requirement: c.Requirement(), Level: requirements()[c.Requirement()].level,
		Outcome: Outcome(res.Outcome), Reason: res.Reason, Evidence: res.Lines, Log: res.Log, Millis: res.Duration.Milliseconds(),
	}
	for _, f := range res.Findings {
		out.Findings = append(out.Findings, FindingReport{Kind: string(f.Kind), Text: f.Text})
	}
	one := Report{Spec: r.Spec, Backend: r.Backend, Checks: []CheckReport{out}}
	r.Checks = append(r.Checks, one.clean().Checks...)
}

// has reports whether the check is in the report.
func (r *Report) has(id string) bool {
	return slices.ContainsFunc(r.Checks, func(c CheckReport) bool { return c.ID == id })
}

func (r *Report) finish(took time.Duration, problem error) {
	r.Millis = took.Milliseconds()
	if problem != nil {
		r.Problems = append(r.Problems, problem.Error())
	}
	r.Verdict = r.verdict()
	*r = *r.clean()
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
	case r.Count(Deselected)+r.Count(Known)+len(r.Backend.Restrictions) > 0:
		return VerdictPartial
	}
	return VerdictConformant
}

// Summary is the verdict and the counts in one line.
func (r *Report) Summary() string {
	s := fmt.Sprintf("%s: %s, spec %s:", r.Verdict, r.Backend, r.Spec)
	for _, o := range []Outcome{Pass, Fail, Error, Known, Stale, NA, Deselected} {
		if n := r.Count(o); n > 0 {
			s += fmt.Sprintf(" %d %s", n, o)
		}
	}
	return s
}
