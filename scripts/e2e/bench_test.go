// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// modes are the two ways into a sandbox; auto is one of them.
var modes = []string{"bwrap", "userns"}

// bench is a place to run sallyport in: directories that must be empty again afterwards, and a marker that every
// process of the run carries in its environment.
type bench struct {
	tmp, runtime, home string
	marker             string
	env                []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{
		tmp: filepath.Join(dir, "tmp"), runtime: filepath.Join(dir, "run"), home: filepath.Join(dir, "home"),
		marker: "SALLYPORT_E2E_MARKER=" + dir,
	}
	for _, d := range []string{b.tmp, b.runtime, b.home} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.env = append(os.Environ(), b.marker, "TMPDIR="+b.tmp, "XDG_RUNTIME_DIR="+b.runtime, "HOME="+b.home,
		"XDG_CONFIG_HOME=", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	return b
}

// setenv puts a variable into the environment of the runs.
func (b *bench) setenv(kv ...string) { b.env = append(b.env, kv...) }

// run runs sallyport to its end, which must come within a minute or, of a hostile program, soon after it.
func (b *bench) run(t *testing.T, args ...string) result {
	t.Helper()
	return b.runWith(t, nil, sallyport, args...)
}

// runWith runs any program with stdin as its input, nil being the null device.
func (b *bench) runWith(t *testing.T, stdin *os.File, program string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+*hostileTime)
	defer cancel()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, program, args...)
	c.Env, c.Dir, c.Stdout, c.Stderr = b.env, b.home, &stdout, &stderr
	if stdin != nil {
		c.Stdin = stdin
	}
	c.WaitDelay = 5 * time.Second
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, &stderr)
	}
	if isTimeout(ctx) {
		t.Fatalf("%s %s: not over after a minute\n%s", program, strings.Join(args, " "), &stderr)
	}
	return result{status(c.ProcessState), stdout.String(), stderr.String()}
}

// status is what a shell would put into $?.
func status(s *os.ProcessState) int {
	if w := s.Sys().(syscall.WaitStatus); w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// left lists the files that runs left behind.
func (b *bench) left(t *testing.T) []string {
	t.Helper()
	var left []string
	for _, dir := range []string{b.tmp, b.runtime} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, filepath.Join(dir, e.Name()))
		}
	}
	return left
}

// processes lists the processes that carry word in their environment or in their arguments.
func processes(t *testing.T, word string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, dir := range dirs {
		if dir == "/proc/"+strconv.Itoa(os.Getpid()) {
			continue
		}
		args, _ := os.ReadFile(dir + "/cmdline") // gone, or not ours to read: then it is not ours
		env, _ := os.ReadFile(dir + "/environ")
		if strings.Contains(string(args), word) || slices.Contains(strings.Split(string(env), "\x00"), word) {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}

// gone waits until nobody carries word any more: a killed process needs a moment to go.
func gone(t *testing.T, word string) {
	t.Helper()
	var last []string
	if !within(10*time.Second, func() bool { last = processes(t, word); return len(last) == 0 }) {
		t.Errorf("processes left: %s", strings.Join(last, "; "))
	}
}

// within polls a condition that nothing announces.
func within(limit time.Duration, condition func() bool) bool {
	deadline := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			return condition()
		case <-tick.C:
		}
	}
	return true
}
