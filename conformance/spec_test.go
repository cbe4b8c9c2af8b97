// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// envUpdate writes the generated files: the lines *Checks:* of SPEC.md, and catalog.json.
const envUpdate = "CONFORMANCE_UPDATE"

// TestSpecAndChecks: every requirement has a check, every check a requirement, ids are unique and in the
// order of the text, levels and scopes are those of the code.
func TestSpecAndChecks(t *testing.T) {
	t.Parallel()
	byReq := map[string][]string{}
	seen := map[string]bool{}
	for _, c := range checks.All() {
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		byReq[c.Requirement()] = append(byReq[c.Requirement()], c.ID)
		if c.Summary == "" || c.Run == nil || strings.Count(c.ID, ".") != 1 {
			t.Errorf("%s is incomplete", c.ID)
		}
	}
	ids := map[string]bool{}
	for _, r := range parseSpec(specText) {
		if ids[r.id] {
			t.Errorf("SPEC.md has %s twice", r.id)
		}
		ids[r.id] = true
		if len(byReq[r.id]) == 0 {
			t.Errorf("no check for %s", r.id)
		}
		if r.level != "MUST" && r.level != "SHOULD" || r.since == "" || r.rule == "" || r.why == "" || r.title == "" {
			t.Errorf("SPEC.md: %s is incomplete: %+v", r.id, r)
		}
	}
	for req := range byReq {
		if !ids[req] {
			t.Errorf("SPEC.md has no %s", req)
		}
	}
}

// TestScopes: the scope SPEC.md gives a requirement is the one the runner applies.
func TestScopes(t *testing.T) {
	t.Parallel()
	features := AllFeatures()
	for _, c := range Catalog() {
		scope, without := strings.CutPrefix(c.Scope, "without ")
		switch {
		case c.Scope == "core":
			if c.Unclaimed != "" || len(c.Needs) > 0 && c.Needs[0] != string(TCP) {
				t.Errorf("%s is core in SPEC.md, and the check needs %v %s", c.ID, c.Needs, c.Unclaimed)
			}
		case without:
			if c.Unclaimed != scope {
				t.Errorf("%s: SPEC.md says %q, the check applies without %q", c.ID, c.Scope, c.Unclaimed)
			}
		case c.Unclaimed != scope && !slices.Contains(c.Needs, scope):
			t.Errorf("%s: SPEC.md says %q, the check needs %v", c.ID, c.Scope, c.Needs)
		}
		for _, f := range append(slices.Clone(c.Needs), c.Unclaimed) {
			if f != "" && !slices.Contains(features, Feature(f)) {
				t.Errorf("%s needs %q, which is no feature", c.ID, f)
			}
		}
	}
}

// TestGeneratedFiles: SPEC.md and catalog.json are what the code says.
func TestGeneratedFiles(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]any{"spec": SpecVersion, "checks": Catalog()}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"SPEC.md": withChecks(specText), "catalog.json": b.String()} {
		if os.Getenv(envUpdate) != "" {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not up to date; run %s=1 go test -run TestGeneratedFiles .", name, envUpdate)
		}
	}
}

// withChecks puts the ids of the checks behind every requirement.
func withChecks(text string) string {
	byReq := map[string][]string{}
	for _, c := range checks.All() {
		byReq[c.Requirement()] = append(byReq[c.Requirement()], "`"+c.ID+"`")
	}
	var out []string
	id := ""
	for line := range strings.SplitSeq(text, "\n") {
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			id, _, _ = strings.Cut(heading, " ")
		}
		if strings.HasPrefix(line, "*Checks:*") {
			line = "*Checks:* " + strings.Join(byReq[id], ", ")
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// TestBodiesKeepTheRules: no check sleeps, skips, or knows of a test framework.
func TestBodiesKeepTheRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("internal/checks/*.go")
	if err != nil || len(files) < 5 {
		t.Fatalf("the checks' files: %v, %v", files, err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			if p := strings.Trim(imp.Path.Value, `"`); p == "testing" || strings.Contains(p, "ginkgo") {
				t.Errorf("%s imports %s", name, p)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Sleep", "Skip", "Skipf", "SkipNow", "Tick"}, sel.Sel.Name) {
				t.Errorf("%s calls %s", name, sel.Sel.Name)
			}
			return true
		})
	}
}

// TestVectors: names are unique, policies exist and need the features their groups need, names that have
// to be reached resolve, and every case is told apart from its neighbours.
func TestVectors(t *testing.T) {
	t.Parallel()
	groups := map[string]bool{}
	for _, c := range Catalog() {
		groups[c.Requirement] = true
	}
	ids := map[string]bool{}
	id := func(id, group string) {
		if ids[id] {
			t.Errorf("%s is there twice", id)
		}
		ids[id] = true
		if !groups[group] {
			t.Errorf("%s belongs to %s, which is no requirement", id, group)
		}
	}
	policies := vectors.Policies()
	for _, v := range vectors.Targets() {
		id(v.ID(), v.Group)
		if _, ok := policies[v.Policy]; !ok {
			t.Errorf("%s: no policy %q", v.ID(), v.Policy)
		}
		if (v.Want == vectors.Allow) != slices.Equal(v.Status, []int{200}) {
			t.Errorf("%s: want %s with status %v", v.ID(), v.Want, v.Status)
		}
	}
	for _, h := range vectors.Heads() {
		id(h.ID(), h.Group)
	}
	for name, p := range policies {
		for _, f := range p.Features {
			if !slices.Contains(AllFeatures(), Feature(f)) {
				t.Errorf("policy %s needs %q, which is no feature", name, f)
			}
		}
	}
}
