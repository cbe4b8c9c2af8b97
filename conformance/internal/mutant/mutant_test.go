// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// envUpdate writes the golden file.
const (
	envUpdate = "CONFORMANCE_UPDATE"
	golden    = "testdata/mutants.golden"
)

// job is one run of the suite against one mutant.
type job struct {
	Fault  refproxy.Fault
	Entry  Entry
	Select []string
}

func (j job) name() string { return fmt.Sprintf("%s %s", j.Fault, j.Entry) }

// jobs are the distinct mutants of the table.
func jobs() []job {
	var out []job
	at := map[string]int{}
	for _, m := range Table() {
		j := job{Fault: m.Fault, Entry: m.Entry}
		if j.Entry == "" {
			j.Entry = TCP
		}
		i, ok := at[j.name()]
		if !ok {
			i = len(out)
			at[j.name()] = i
			out = append(out, j)
		}
		for _, a := range m.Areas {
			if !slices.Contains(out[i].Select, a) {
				out[i].Select = append(out[i].Select, a)
			}
		}
	}
	return out
}

// TestMutants: the failing set of every mutant is exactly the one of the golden file, and the check named
// in the table is in it, resting on the witness named there.
func TestMutants(t *testing.T) {
	update := os.Getenv(envUpdate) != ""
	all := jobs()
	reports := runJobs(t, all)
	got := map[string]map[string]string{} // mutant -> check -> kind
	for i, j := range all {
		if reports[i].Millis > 3000 {
			t.Log(j.name(), reports[i].Millis, "ms")
		}
		got[j.name()] = failing(t, j, reports[i])
	}
	for _, m := range Table() {
		j := job{Fault: m.Fault, Entry: m.Entry}
		if j.Entry == "" {
			j.Entry = TCP
		}
		kind, failed := got[j.name()][m.Check]
		if !failed {
			t.Errorf("%s: %s passes", m.Fault, m.Check)
		} else if kind != string(m.Kind) {
			t.Errorf("%s: %s fails by %s, want by %s", m.Fault, m.Check, kind, m.Kind)
		}
	}
	if update {
		writeGolden(t, got)
		return
	}
	want := readGolden(t)
	for _, j := range all {
		compare(t, j, got[j.name()], want[j.name()])
	}
}

// texts are the first findings, for messages.
var texts = map[string]string{}

func failing(t *testing.T, j job, r *conformance.Report) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, c := range r.Checks {
		switch c.Outcome {
		case conformance.Fail:
			out[c.ID] = c.Findings[0].Kind
			texts[j.name()+c.ID] = c.Findings[0].Text + fmt.Sprint(c.Evidence)
		case conformance.Error:
			t.Errorf("%s: %s could not be carried out: %s", j.name(), c.ID, c.Reason)
		}
	}
	return out
}

func compare(t *testing.T, j job, got, want map[string]string) {
	t.Helper()
	for id, kind := range want {
		if g, ok := got[id]; !ok {
			t.Errorf("%s: %s passes, want a failure by %s", j.name(), id, kind)
		} else if g != kind {
			t.Errorf("%s: %s fails by %s, want by %s", j.name(), id, g, kind)
		}
	}
	for id, kind := range got {
		if _, ok := want[id]; !ok {
			t.Errorf("%s: %s fails by %s, and the golden file does not say so: %s", j.name(), id, kind, texts[j.name()+id])
		}
	}
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

func readGolden(t *testing.T) map[string]map[string]string {
	t.Helper()
	f, err := os.Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]map[string]string{}
	name := ""
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			name = strings.Trim(line, "[]")
			out[name] = map[string]string{}
		default:
			id, kind, _ := strings.Cut(line, " ")
			out[name][id] = kind
		}
	}
	return out
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
	all := []job{{Entry: TCP}, {Entry: Unix}, {Entry: Sandbox}, {Entry: Bare}}
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
