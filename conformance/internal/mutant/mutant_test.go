// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
)

// envUpdate writes the golden file.
const (
	envUpdate = "CONFORMANCE_UPDATE"
	golden    = "testdata/mutants.golden"
)

// envSelect is a regular expression for the areas of the jobs to run; the golden file keeps what it has of the others.
const envSelect = "CONFORMANCE_MUTANTS"

// selected are the jobs to run.
func selected(t *testing.T) []Job {
	pattern, err := regexp.Compile(os.Getenv(envSelect))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(Jobs(), func(j Job) bool {
		return !pattern.MatchString(j.Name() + " " + strings.Join(j.Select, " "))
	})
}

// TestMutants: the failing set of every mutant is exactly the one of the golden file, and the check named
// in the table is in it, resting on the witness named there.
func TestMutants(t *testing.T) {
	update := os.Getenv(envUpdate) != ""
	all := selected(t)
	reports := runJobs(t, all)
	got := map[string]map[string]string{} // mutant -> check -> kind
	if os.Getenv(envSelect) != "" {
		maps.Copy(got, Golden())
	}
	for i, j := range all {
		if reports[i].Millis > 3000 {
			t.Log(j.Name(), reports[i].Millis, "ms")
		}
		failing, problems := Failing(j, reports[i])
		got[j.Name()] = failing
		wrong := slices.Concat(problems, Survived(j, failing))
		if !update {
			wrong = append(wrong, Unexpected(j, failing)...)
		}
		if len(wrong) > 0 {
			t.Errorf("%s\n%s", strings.Join(wrong, "\n"), findings(reports[i]))
		}
	}
	if update {
		writeGolden(t, got)
	}
}

// findings are what the failures of a mutant rest on, for messages.
func findings(r *conformance.Report) string {
	var b strings.Builder
	for _, c := range r.Checks {
		if c.Outcome == conformance.Fail {
			fmt.Fprintf(&b, "%s: %s %v\n", c.ID, c.Findings[0].Text, c.Evidence)
		}
	}
	return b.String()
}

func writeGolden(t *testing.T, got map[string]map[string]string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Every check each mutant of the reference proxy fails, and the witness its first finding rests on.\n" +
		"# Written by CONFORMANCE_UPDATE=1 go test ./internal/mutant; read it like code when it changes.\n")
	for _, name := range slices.Sorted(maps.Keys(got)) {
		fmt.Fprintf(&b, "\n[%s]\n", name)
		for _, id := range slices.Sorted(maps.Keys(got[name])) {
			fmt.Fprintf(&b, "%s %s\n", id, got[name][id])
		}
	}
	if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryCheckHasItsMutant: a check that nothing kills does not count.
func TestEveryCheckHasItsMutant(t *testing.T) {
	t.Parallel()
	exists, killed := map[string]bool{}, map[string]bool{}
	for _, c := range checks.All() {
		exists[c.ID] = true
	}
	for _, m := range Table() {
		if !exists[m.Check] {
			t.Errorf("%s names %s, which is no check", m.Fault, m.Check)
		}
		killed[m.Check] = true
	}
	for _, c := range checks.All() {
		if !killed[c.ID] {
			t.Errorf("no mutant is named for %s", c.ID)
		}
	}
}

// TestReference: without faults the reference proxy passes everything that applies, by whatever way in.
func TestReference(t *testing.T) {
	all := References()
	for i, r := range runJobs(t, all) {
		t.Log(r.Summary(), r.Millis, "ms")
		for _, c := range r.Checks {
			if o := c.Outcome; o != conformance.Pass && o != conformance.NA {
				text, _ := json.MarshalIndent(c, "", "  ")
				t.Errorf("%s: %s", all[i].Entry, text)
			}
		}
		if r.Verdict != conformance.VerdictConformant {
			t.Errorf("%s: verdict %s, want conformant: %v", all[i].Entry, r.Verdict, r.Problems)
		}
	}
}
