// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package discovery sees to it that no backend is forgotten: each has its test, and CI runs it.
package discovery

import (
	"encoding/json"
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

// TestEveryBackendRunsInCI follows the way from a push to the backend: ci.yml calls conformance.yml, which makes its
// matrix from what its script finds, and each job runs a step that exists.
func TestEveryBackendRunsInCI(t *testing.T) {
	t.Parallel()
	for name, wants := range map[string][]string{
		"ci.yml": {"uses: ./.github/workflows/conformance.yml", "needs: [check, conformance,"},
		"conformance.yml": {"backends: ${{ steps.list.outputs.backends }}", "backend: ${{ fromJSON(needs.plan.outputs.backends) }}",
			"BACKEND: ${{ matrix.backend }}", `.ci/run "conformance:$BACKEND"`},
	} {
		text := workflow(t, name)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q: the backends do not run in CI", name, want)
			}
		}
	}
	planned, steps := planned(t), listSteps(t)
	for _, name := range backends(t) {
		if !slices.Contains(planned, name) {
			t.Errorf("the matrix of conformance.yml has no job for %s; it has %v", name, planned)
		}
		if !regexp.MustCompile(`(?m)^conformance:` + regexp.QuoteMeta(name) + `\s`).MatchString(steps) {
			t.Errorf("scripts/test has no step conformance:%s", name)
		}
	}
}

func workflow(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(root + "/.github/workflows/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// planned runs the script that makes the matrix, as the workflow does, and returns the backends it finds.
func planned(t *testing.T) []string {
	t.Helper()
	all := scripts(workflow(t, "conformance.yml"))
	i := slices.IndexFunc(all, func(s string) bool { return strings.Contains(s, "backends=") })
	if i < 0 {
		t.Fatal("no script of conformance.yml makes a list of backends")
	}
	output := filepath.Join(t.TempDir(), "output")
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", all[i])
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "ONLY=", "GITHUB_OUTPUT="+output)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the script of conformance.yml: %v\n%s", err, out)
	}
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := strings.CutPrefix(strings.TrimSpace(string(text)), "backends=")
	var names []string
	if err := json.Unmarshal([]byte(list), &names); err != nil {
		t.Fatalf("the matrix is %s: %v", list, err)
	}
	return names
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
