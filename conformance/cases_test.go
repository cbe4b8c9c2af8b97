// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// caseGroups are the groups of the case list and how many cases each has; they are numbered from 1. The list is
// closed: a new case comes with a new number here.
var caseGroups = map[string]int{
	"HM": 38, "IP": 31, "RB": 27, "PT": 16, "HP": 69, "HH": 19, "TL": 12, "SK": 16, "SB": 58, "LC": 30, "EX": 30,
	"CF": 24, "DN": 7,
}

// caseTotal is the sum of them.
const caseTotal = 377

var (
	caseRow = regexp.MustCompile(`^\| ([A-Z]{2})-([0-9]{2}) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$`)
	reqID   = regexp.MustCompile(`^[A-Z]+-[0-9]{3}(, [A-Z]+-[0-9]{3})*$`)
)

// TestCases: every case is in CASES.md once, and either covered by requirements there are or has a reason.
func TestCases(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("CASES.md")
	if err != nil {
		t.Fatal(err)
	}
	seen, titles := map[string]int{}, map[string]string{}
	covered := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if !regexp.MustCompile(`^\| [A-Z]{2}-`).MatchString(line) {
			continue
		}
		m := caseRow.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("no row of five cells: %s", line)
			continue
		}
		id, title, what := m[1]+"-"+m[2], m[3], m[4]
		seen[id]++
		if other, twice := titles[title]; twice {
			t.Errorf("%s and %s are both called %q", other, id, title)
		}
		titles[title] = id
		switch {
		case reqID.MatchString(what):
			covered++
			for req := range strings.SplitSeq(what, ", ") {
				if _, ok := requirements()[req]; !ok {
					t.Errorf("%s names %s, which is not in SPEC.md", id, req)
				}
			}
		case len(what) < len("the operator's choice"):
			t.Errorf("%s: %q is neither requirements nor a reason", id, what)
		}
	}
	total := 0
	for group, n := range caseGroups {
		total += n
		for i := 1; i <= n; i++ {
			id := fmt.Sprintf("%s-%02d", group, i)
			if seen[id] != 1 {
				t.Errorf("%s is there %d times, want once", id, seen[id])
			}
			delete(seen, id)
		}
	}
	for id := range seen {
		t.Errorf("%s is no case", id)
	}
	if total != caseTotal {
		t.Errorf("got %d cases, want %d", total, caseTotal)
	}
	if said := fmt.Sprintf("%d cases found", total); !strings.Contains(string(text), said) {
		t.Errorf("the introduction does not say %q", said)
	}
	if said := fmt.Sprintf("%d are covered by requirements", covered); !strings.Contains(string(text), said) {
		t.Errorf("the introduction does not say %q", said)
	}
}

// TestSeen: what SPEC.md says was seen is in the row of a case that names the requirement.
func TestSeen(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("CASES.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range requirements() {
		if len(r.seen) > 0 {
			n++
		}
		for _, incident := range r.seen {
			found := false
			for line := range strings.Lines(string(text)) {
				found = found || strings.HasPrefix(line, "| ") && strings.Contains(line, r.id) && strings.Contains(line, incident)
			}
			if !found {
				t.Errorf("%s: no case in CASES.md has %s", r.id, incident)
			}
		}
	}
	if n < 75 {
		t.Errorf("got %d requirements with public incidents, want at least 75", n)
	}
}

// TestEnough: the specification does not shrink unnoticed.
func TestEnough(t *testing.T) {
	t.Parallel()
	if n := len(requirements()); n < 125 {
		t.Errorf("got %d requirements, want at least 125", n)
	}
}
