// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The tools that are not part of the tree, by exact version: a new release must not turn a green tree red by itself.
const (
	staticcheck = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"
	actionlint  = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
)

// portable are the modules that must build and vet where there is no sandbox to be had.
var portable = []string{"proxycore", "external", "conformance", "fixtures", "bridge"}

// allSteps lists the checks, the quick ones first.
func allSteps(t *tree) []step {
	static := &group{width: 2}
	steps := []step{
		{group: static, name: "format", about: "gofmt changes nothing", run: t.format},
		{group: static, name: "house", about: "the house rules: sizes, headers, documentation, go.mod files", run: t.house},
		{group: static, name: "shellcheck", about: "the shell scripts", tools: []string{"shellcheck"}, run: t.shellcheck},
		{group: static, name: "actionlint", about: "the workflows of .github", tools: []string{"shellcheck"}, run: t.actionlint},
		{group: static, name: "vet", about: "go vet, every module", run: t.vet},
		{group: static, name: "staticcheck", about: staticcheck, run: t.staticcheck},
		{group: static, name: "cross", about: "build and vet for darwin, windows and other kinds of Linux", run: t.cross},
		{group: static, name: "rehearse", about: "release rehearsal: a stranger's program against the packed modules",
			tools: []string{"bwrap", "curl"}, run: t.rehearse},
	}
	return append(steps, testSteps(t)...)
}

func (t *tree) format(ctx context.Context, o *output) error {
	files, err := t.lines(ctx, "gofmt", "-l", ".")
	if err != nil {
		return err
	}
	if len(files) > 0 {
		return fmt.Errorf("gofmt -w %s", strings.Join(files, " "))
	}
	return nil
}

func (t *tree) house(ctx context.Context, o *output) error {
	return t.do(ctx, o.w, "go", "run", "./scripts/tool/house")
}

// shellcheck reads every script: files that begin with #! and name a shell, wherever they are.
func (t *tree) shellcheck(ctx context.Context, o *output) error {
	args := []string{"--"}
	for _, glob := range []string{"scripts/*", "scripts/benchmarks/*", ".ci/*", ".github/actions/*/*", "*/examples/*", "*/testdata/*.sh"} {
		files, err := filepath.Glob(filepath.Join(t.root, glob))
		if err != nil {
			return err
		}
		for _, f := range files {
			if isShell(f) {
				args = append(args, f)
			}
		}
	}
	return t.do(ctx, o.w, "shellcheck", args...)
}

func isShell(path string) bool {
	head, err := os.ReadFile(path) // a directory gives an error, and that is answer enough
	if err != nil {
		return false
	}
	line, _, _ := strings.Cut(string(head[:min(len(head), 80)]), "\n")
	return strings.HasPrefix(line, "#!") && strings.HasSuffix(line, "sh") || strings.HasPrefix(line, "# shellcheck shell=")
}

func (t *tree) actionlint(ctx context.Context, o *output) error {
	files, err := filepath.Glob(filepath.Join(t.root, ".github/workflows/*.y*ml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("no workflow in .github/workflows")
	}
	return t.do(ctx, o.w, "go", append([]string{"run", actionlint}, files...)...)
}

func (t *tree) vet(ctx context.Context, o *output) error {
	return t.do(ctx, o.w, "go", append([]string{"vet"}, t.patterns(everyModule)...)...)
}

func (t *tree) staticcheck(ctx context.Context, o *output) error {
	return t.do(ctx, o.w, "go", append([]string{"run", staticcheck}, t.patterns(everyModule)...)...)
}

func (t *tree) cross(ctx context.Context, o *output) error {
	var patterns []string
	for _, m := range portable {
		patterns = append(patterns, "./"+m+"/...")
	}
	// The backends and the scripts drive a Linux sandbox and belong to no importer.
	patterns = withoutPrefix(patterns, "./conformance/backends")
	var errs []error
	for _, target := range [][2]string{{"darwin", "arm64"}, {"windows", "amd64"}, {"linux", "arm64"}, {"linux", "386"}} {
		env := []string{"GOOS=" + target[0], "GOARCH=" + target[1], "CGO_ENABLED=0"}
		for _, verb := range []string{"build", "vet"} {
			if err := t.doEnv(ctx, o.w, env, "go", append([]string{verb}, patterns...)...); err != nil {
				errs = append(errs, fmt.Errorf("%s/%s: %w", target[0], target[1], err))
			}
		}
	}
	return errors.Join(errs...)
}

func withoutPrefix(list []string, prefix string) []string {
	var kept []string
	for _, s := range list {
		if !strings.HasPrefix(s, prefix) {
			kept = append(kept, s)
		}
	}
	return kept
}

func (t *tree) rehearse(ctx context.Context, o *output) error {
	return t.do(ctx, o.w, "go", "run", "./scripts/tool/rehearse")
}

// raceFlag is -race where this machine can build it: the race detector needs a C compiler.
func raceFlag(o *output) []string {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		o.skip("race detector", "needs a C compiler: apt-get install gcc libc6-dev")
		return nil
	}
	return []string{"-race"}
}
