// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tree is the workspace the checks run on.
type tree struct {
	root    string
	modules []string // directories of go.work relative to root: "proxycore", "conformance/backends", …
	tmp     string   // for what the steps build; gone at the end
	engine  engine   // for the steps that run containers
}

// findTree asks the go command for the modules of the workspace, so that a new module is checked without being told.
func findTree(ctx context.Context) (*tree, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOWORK: %w", err)
	}
	work := strings.TrimSpace(string(out))
	if work == "" || work == "off" {
		return nil, errors.New("no go.work here: run this through scripts/test")
	}
	t := &tree{root: filepath.Dir(work)}
	out, err = t.command(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	for dir := range strings.Lines(string(out)) {
		rel, err := filepath.Rel(t.root, strings.TrimSpace(dir))
		if err != nil {
			return nil, err
		}
		t.modules = append(t.modules, rel)
	}
	return t, nil
}

// patterns returns "./module/..." for the modules that keep admits.
func (t *tree) patterns(keep func(module string) bool) []string {
	var p []string
	for _, m := range t.modules {
		if keep(m) {
			p = append(p, "./"+m+"/...")
		}
	}
	return p
}

func everyModule(string) bool { return true }

// command prepares a command in the root of the tree that takes its whole process group with it when ctx ends.
func (t *tree) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = t.root
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	return c
}

// do runs a command, its output going to w.
func (t *tree) do(ctx context.Context, w io.Writer, name string, args ...string) error {
	return t.doEnv(ctx, w, nil, name, args...)
}

func (t *tree) doEnv(ctx context.Context, w io.Writer, env []string, name string, args ...string) error {
	c := t.command(ctx, name, args...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = w, w
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args[:min(len(args), 3)]...), " "), err)
	}
	return nil
}

// lines runs a command and returns the lines of its standard output that are not blank.
func (t *tree) lines(ctx context.Context, name string, args ...string) ([]string, error) {
	c := t.command(ctx, name, args...)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", c, err, strings.TrimSpace(stderr.String()))
	}
	var l []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			l = append(l, line)
		}
	}
	return l, nil
}
