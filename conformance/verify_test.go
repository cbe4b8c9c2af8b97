// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"strings"
	"testing"
)

// complete is the report of a backend that passes all that applies to it.
func complete() *Report {
	r := newReport(Backend{Name: "x", Version: "1", Features: Features(TCP, PortRules)})
	for _, info := range Catalog() {
		c := CheckReport{ID: info.ID, Requirement: info.Requirement, Level: info.Level, Outcome: Pass}
		if why, ok := info.applies(r.Backend.Claimed); !ok {
			c.Outcome, c.Reason = NA, why
		}
		r.Checks = append(r.Checks, c)
	}
	r.Verdict = r.verdict()
	return r
}

func at(t *testing.T, r *Report, id string) *CheckReport {
	t.Helper()
	for i := range r.Checks {
		if r.Checks[i].ID == id {
			return &r.Checks[i]
		}
	}
	t.Fatalf("no %s", id)
	return nil
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const id = "DENY-002.no-dial"
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, r *Report)
		want  []string
	}{
		{"as it is", func(*testing.T, *Report) {}, nil},
		{"missing", func(t *testing.T, r *Report) { *at(t, r, id) = *at(t, r, "DENY-001.no-tunnel") },
			[]string{id + " is missing", "DENY-001.no-tunnel is there 2 times"}},
		{"unknown", func(_ *testing.T, r *Report) {
			r.Checks = append(r.Checks, CheckReport{ID: "DENY-999.x", Outcome: Pass})
		},
			[]string{`"DENY-999.x" is no check`}},
		{"no checks", func(_ *testing.T, r *Report) { r.Checks, r.Verdict = nil, VerdictInvalid }, []string{id + " is missing"}},
		{"verdict", func(t *testing.T, r *Report) {
			c := at(t, r, id)
			c.Outcome, c.Findings = Fail, []FindingReport{{Kind: "origin-dial", Text: "x"}}
		}, []string{`the verdict is "conformant", and the checks make it "not-conformant"`}},
		{"unknown verdict", func(_ *testing.T, r *Report) { r.Verdict = "splendid" }, []string{`the verdict is "splendid"`}},
		{"outcome", func(t *testing.T, r *Report) { at(t, r, id).Outcome = "fine" }, []string{`"fine" is no outcome`}},
		{"failure without a finding", func(t *testing.T, r *Report) { at(t, r, id).Outcome, r.Verdict = Fail, VerdictNotConformant },
			[]string{"failed without a finding"}},
		{"pass with a finding", func(t *testing.T, r *Report) { at(t, r, id).Findings = []FindingReport{{}} }, []string{"passed with findings"}},
		{"na without a reason", func(t *testing.T, r *Report) { at(t, r, id).Outcome = NA }, []string{"without a reason", "nothing restricts"}},
		{"na that applies", func(t *testing.T, r *Report) { at(t, r, id).Outcome, at(t, r, id).Reason = NA, "busy" }, []string{"nothing restricts"}},
		{"na by restriction", func(t *testing.T, r *Report) {
			at(t, r, id).Outcome, at(t, r, id).Reason = NA, "busy"
			r.Backend.Restrictions, r.Verdict = []string{"busy"}, VerdictPartial
		}, nil},
		{"pass that does not apply", func(t *testing.T, r *Report) { at(t, r, "SANDBOX-001.allowed").Outcome = Pass }, []string{"does not apply: it needs sandbox"}},
		{"level", func(t *testing.T, r *Report) { at(t, r, id).Level = "SHOULD" }, []string{`MUST of "DENY-002", not SHOULD`}},
		{"specification", func(_ *testing.T, r *Report) { r.Spec = "0.0" }, []string{`spec "0.0"`}},
		{"no name", func(_ *testing.T, r *Report) { r.Backend.Name, r.Suite = "", "" }, []string{"no name", "which version of the suite"}},
	} {
		r := complete()
		c.spoil(t, r)
		var b bytes.Buffer
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		got, err := Verify(&b)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(strings.Join(got, "\n"), want) {
				t.Errorf("%s: got %q, want %q among them", c.name, got, want)
			}
		}
		if len(c.want) == 0 && len(got) > 0 {
			t.Errorf("%s: got %q, want no problems", c.name, got)
		}
	}
}

func TestVerifyUnreadable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"schemaVersion":1} {}`, `{"schemaVersion":2}`, `{}`} {
		if problems, err := Verify(strings.NewReader(text)); err == nil {
			t.Errorf("%q: problems %v, want an error", text, problems)
		}
	}
}
