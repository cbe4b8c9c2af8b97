// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
)

// static builds the command without cgo, with which process 1 of a sandbox would be executed twice.
func static(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sallyport")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", file, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return file
}

// forEachMode runs test for each way to make a sandbox, where it works.
func forEachMode(t *testing.T, test func(t *testing.T, mode string)) {
	for _, m := range []bridge.Mode{bridge.Bwrap, bridge.UserNS} {
		t.Run(string(m), func(t *testing.T) {
			if _, err := bridge.Probe(context.Background(), m); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("in CI every sandbox mode must work: %v", err)
				}
				t.Skipf("not tested: %v", err)
			}
			test(t, string(m))
		})
	}
}

var (
	executed = regexp.MustCompile(`(?m)execve\(.* = 0$|<\.\.\. execve resumed>.* = 0$`)
	forked   = regexp.MustCompile(`(?m)^\d+ +(?:v?fork|clone3?)\(.*$`)
)

// TestRunCost counts what a sandbox costs in programs executed and processes started, which no noise
// hides: sallyport, its supervisor, bwrap, process 1 and the command, and no trial before that.
func TestRunCost(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed; ./scripts/setup installs it")
	}
	file := static(t)
	forEachMode(t, func(t *testing.T, mode string) {
		t.Parallel()
		programs, processes := 4, 4 // one of the processes is package os finding out whether it can wait by a descriptor
		if mode == string(bridge.Bwrap) {
			programs, processes = programs+1, processes+1
		}
		trace := filepath.Join(t.TempDir(), "trace")
		out, err := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-e", "trace=execve,clone,clone3,fork,vfork", "-e", "signal=none", "-o", trace,
			file, "run", "--sandbox", mode, "--", "true").CombinedOutput()
		if strings.Contains(string(out), "PTRACE") {
			t.Skip("strace may not trace processes here")
		}
		if err != nil {
			t.Fatalf("run: %v: %s", err, out)
		}
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(executed.FindAll(text, -1)); n != programs {
			t.Errorf("%d programs were executed, want %d:\n%s", n, programs, text)
		}
		n := 0
		for _, call := range forked.FindAllString(string(text), -1) {
			if !strings.Contains(call, "CLONE_THREAD") && !strings.Contains(call, "= -1") && !strings.Contains(call, "ERESTART") {
				n++
			}
		}
		if n != processes {
			t.Errorf("%d processes were started, want %d:\n%s", n, processes, text)
		}
	})
}

// TestFirstProcess: no thread of a sandbox's process 1 keeps a capability, or a way to get one, and none
// of its files, variables and descriptors can be looked at.
func TestFirstProcess(t *testing.T) {
	t.Parallel()
	file := static(t)
	const look = `cat /proc/1/task/*/status; for f in environ fd/3 fd/4 fd/5 mem exe cwd root maps; do
		if [ -r /proc/1/$f ] && cat /proc/1/$f >/dev/null 2>&1; then echo "open: $f"; fi; if readlink /proc/1/$f; then echo "open: $f"; fi; done; true`
	forEachMode(t, func(t *testing.T, mode string) {
		t.Parallel()
		out, err := exec.CommandContext(t.Context(), file, "run", "--sandbox", mode, "--", "sh", "-c", look).Output()
		if err != nil {
			t.Fatalf("run: %v", err)
		}
		want := map[string]string{"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
			"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
		seen := map[string]int{}
		for line := range strings.Lines(string(out)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			if value = strings.TrimSpace(value); key == "open" {
				t.Errorf("/proc/1/%s can be looked at", value)
			}
			if w, ok := want[key]; ok && value != w {
				t.Errorf("a thread has %s %s, want %s", key, value, w)
			}
			seen[key]++
		}
		if seen["CapEff"] < 2 || seen["CapEff"] != seen["Seccomp"] {
			t.Errorf("%d threads tell their capabilities and %d their filter, want all of several", seen["CapEff"], seen["Seccomp"])
		}
	})
}
