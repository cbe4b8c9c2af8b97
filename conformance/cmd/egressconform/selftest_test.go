// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/mutant"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// TestWeigh: a check that always passes lets its mutant survive, and one that fails for another reason is seen.
func TestWeigh(t *testing.T) {
	t.Parallel()
	j := mutant.Job{Fault: refproxy.BytesLost, Entry: mutant.TCP}
	failed := func(id, kind string) conformance.CheckReport {
		return conformance.CheckReport{ID: id, Outcome: conformance.Fail, Findings: []conformance.FindingReport{{Kind: kind}}}
	}
	const named = "CONNECT-004.one-segment"
	var good []conformance.CheckReport // all that the golden file says
	with := func(id string, c conformance.CheckReport) []conformance.CheckReport {
		out := slices.DeleteFunc(slices.Clone(good), func(g conformance.CheckReport) bool { return g.ID == id })
		return append(out, c)
	}
	for id, kind := range mutant.Golden()[j.Name()] {
		good = append(good, failed(id, kind))
	}
	for _, c := range []struct {
		name                                    string
		job                                     mutant.Job
		checks                                  []conformance.CheckReport
		killed, survivors, unexpected, problems int
	}{
		{"killed", j, good, 1, 0, 0, 0},
		{"survives", j, with(named, conformance.CheckReport{ID: named, Outcome: conformance.Pass}), 0, 1, 1, 0},
		{"another witness", j, with(named, failed(named, "client-status")), 0, 1, 1, 0},
		{"another check as well", j, with("", failed("DENY-001.no-tunnel", "client-status")), 0, 0, 1, 0},
		{"not carried out", j, with("", conformance.CheckReport{ID: "DENY-001.no-tunnel", Outcome: conformance.Error}), 0, 0, 0, 1},
		{"reference", mutant.Job{Entry: mutant.TCP}, nil, 0, 0, 1, 0},
	} {
		var m matrix
		m.weigh(c.job, &conformance.Report{Checks: c.checks})
		if m.Killed != c.killed || len(m.Survivors) != c.survivors || len(m.Unexpected) != c.unexpected || len(m.Problems) != c.problems {
			t.Errorf("%s: %+v; want %d killed, %d survivors, %d unexpected, %d problems",
				c.name, m, c.killed, c.survivors, c.unexpected, c.problems)
		}
	}
}

// TestJob: a process for several mutants, as selftest starts them.
func TestJob(t *testing.T) {
	t.Parallel()
	jobs := []mutant.Job{
		{Fault: refproxy.BytesLost, Entry: mutant.TCP, Select: []string{"CONNECT-004.one-segment"}},
		{Fault: refproxy.DialsFirst, Entry: mutant.TCP, Select: []string{"DENY-002.*"}},
	}
	text, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "report")
	if said, errOut, status := cli(t, "selftest", "--job", string(text), "--out", out); status != exitOK {
		t.Fatalf("status %d\n%s%s", status, said, errOut)
	}
	for i, want := range []int{1, 2} {
		r, err := read(out + "." + string(rune('0'+i)))
		if err != nil || r.Count(conformance.Fail) != want {
			t.Errorf("job %d: %v, %v; want %d failures", i, r, err, want)
		}
	}
	if _, errOut, status := cli(t, "selftest", "more"); status != exitUsage || !strings.Contains(errOut, `"more"`) {
		t.Errorf("status %d, %s", status, errOut)
	}
}
