// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package discovery sees to it that no backend is forgotten: each has its test, and CI runs it.
package discovery

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/sallyport-dev/sallyport/conformance/backends"
	root   = "../../.." // of the repository
)

// others are the packages of this module that are no backends.
var others = []string{"agreement", "discovery", "internal/backend", "internal/peers", "internal/rules"}

// backends lists the module's packages from what the go command finds, for Linux, where all of them build.
func backends(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", module+"/...")
	cmd.Env = append(os.Environ(), "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var names []string
	for path := range strings.FieldsSeq(string(out)) {
		if name := strings.TrimPrefix(path, module+"/"); !slices.Contains(others, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("go list finds no backend")
	}
	return names
}

func TestEveryDirectoryIsABackend(t *testing.T) {
	t.Parallel()
	found := backends(t)
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || name == "internal" || slices.Contains(others, name) {
			continue
		}
		if !slices.Contains(found, name) {
			t.Errorf("the directory %s is no package: it holds no backend, or one that does not build on Linux", name)
		}
	}
}

func TestEveryBackendHasAConformanceTest(t *testing.T) {
	t.Parallel()
	run := regexp.MustCompile(`(?m)^func TestConformance\(t \*testing\.T\)`)
	for _, name := range backends(t) {
		text, err := os.ReadFile(filepath.Join("..", name, "conformance_test.go"))
		switch {
		case err != nil:
			t.Errorf("%s: %v; every backend has a conformance_test.go", name, err)
		case !run.Match(text) || !strings.Contains(string(text), "conformance.Run("):
			t.Errorf("%s: conformance_test.go has no TestConformance that calls conformance.Run", name)
		}
	}
}

// TestEveryBackendRunsInCI follows the way from the workflow to the backend: the workflow takes its matrix
// from the list of steps, and the list names every backend.
func TestEveryBackendRunsInCI(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflow found: %v", err)
	}
	var workflows strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		workflows.Write(text)
	}
	text := workflows.String()
	derived := strings.Contains(text, "./scripts/test --list") && strings.Contains(text, "^conformance:") &&
		strings.Contains(text, "fromJSON(needs.plan.outputs.backends)")
	var steps string
	if derived {
		steps = listSteps(t)
	}
	for _, name := range backends(t) {
		step := regexp.MustCompile(`(?m)(^|[\s"'])conformance:` + regexp.QuoteMeta(name) + `($|[\s"'])`)
		if !step.MatchString(text) && !step.MatchString(steps) {
			t.Errorf("no workflow runs the step conformance:%s", name)
		}
	}
}

// listSteps asks the same program as the workflow does.
func listSteps(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "./scripts/test", "--list")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("scripts/test --list: %v\n%s", err, out)
	}
	return string(out)
}
