// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
)

// TestNoCheckCanBeMissed: whichever check is taken out, or made to pass whatever it sees, a mutant survives and is
// reported, by the row of the table and by the golden file. The golden file is what a run of all mutants yields
// (TestMutants), so what that run would yield without the check is the file without it.
func TestNoCheckCanBeMissed(t *testing.T) {
	t.Parallel()
	missed := map[string]bool{}
	for _, c := range checks.All() {
		missed[c.ID] = true
	}
	for _, m := range Table() {
		j := Job{Fault: m.Fault, Entry: m.entry()}
		failing := maps.Clone(Golden()[j.Name()])
		if wrong := slices.Concat(Survived(j, failing), Unexpected(j, failing)); len(wrong) > 0 {
			t.Errorf("the golden file and the table disagree: %v", wrong)
		}
		delete(failing, m.Check)
		if got := Survived(j, failing); !mentions(got, m.Check) {
			t.Errorf("%s passes in silence: %s is reported as %v", m.Check, j.Name(), got)
		}
		if got := Unexpected(j, failing); !mentions(got, m.Check) {
			t.Errorf("%s passes in silence: against the golden file %s is %v", m.Check, j.Name(), got)
		}
		delete(missed, m.Check)
	}
	for id := range missed {
		t.Errorf("nobody would notice without %s", id)
	}
}

// TestNoCheckCanFailAnything: a check that fails where it should not is reported too, for every check it could be.
func TestNoCheckCanFailAnything(t *testing.T) {
	t.Parallel()
	for _, c := range checks.All() {
		reported := false
		for _, j := range Jobs() {
			failing := maps.Clone(Golden()[j.Name()])
			if _, fails := failing[c.ID]; fails {
				continue
			}
			failing[c.ID] = "client-status"
			if !mentions(Unexpected(j, failing), c.ID) {
				t.Errorf("%s may fail for %s unnoticed", c.ID, j.Name())
			}
			reported = true
		}
		if !reported {
			t.Errorf("%s fails for every mutant: it tells nothing", c.ID)
		}
	}
}

// TestKinds: a check that fails for another reason than it should is reported.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, m := range Table() {
		j := Job{Fault: m.Fault, Entry: m.entry()}
		failing := maps.Clone(Golden()[j.Name()])
		failing[m.Check] = "another kind"
		if !mentions(Survived(j, failing), m.Check) || !mentions(Unexpected(j, failing), m.Check) {
			t.Errorf("%s may fail for %s by any evidence", m.Check, j.Name())
		}
	}
}

func mentions(lines []string, id string) bool {
	return slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, id+" ") })
}
