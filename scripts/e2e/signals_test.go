// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A signal may come at any moment of a run: before the proxy listens, while the sandbox is made, while the command runs,
// while everything is taken down. The sweep sends each signal at many moments; afterwards nothing may be left, and
// the status must be the signal's (128+n), whoever died of it.
func TestSignalsAtEveryStage(t *testing.T) {
	const step, last = 3 * time.Millisecond, 90 * time.Millisecond
	for _, mode := range modes {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
			t.Run(mode+"/"+sig.String(), func(t *testing.T) {
				b := newBench(t)
				for delay := time.Duration(0); delay <= last; delay += step {
					b.signalAfter(t, delay, mode, sig)
				}
				gone(t, b.marker)
				if left := b.left(t); len(left) > 0 {
					t.Errorf("files left: %s", strings.Join(left, ", "))
				}
			})
		}
	}
}

// signalAfter starts a command that would run for ever, and sends sallyport, and nobody else, a signal.
func (b *bench) signalAfter(t *testing.T, delay time.Duration, mode string, sig syscall.Signal) {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(sallyport, "run", "--sandbox", mode, "--allow", allowed, "--", "sleep", "infinity")
	c.Env, c.Dir, c.Stderr = b.env, b.home, &stderr
	c.WaitDelay = 5 * time.Second // a survivor in the sandbox would hold stderr open
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(delay)
	if err := c.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- c.Wait() }()
	select {
	case err := <-over:
		if got, want := status(c.ProcessState), 128+int(sig); got != want {
			t.Errorf("%s after %s: status %d (%v), want %d\n%s", sig, delay, got, err, want, &stderr)
		}
	case <-time.After(20 * time.Second):
		left := processes(t, b.marker)
		_ = c.Process.Kill()
		t.Fatalf("%s after %s: still there after 20 s: %s\n%s", sig, delay, strings.Join(left, "; "), &stderr)
	}
}

// A command that handles a signal decides itself how it ends.
func TestCommandHandlesSignal(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t)
			ready := filepath.Join(b.home, "ready")
			if err := syscall.Mkfifo(ready, 0o600); err != nil {
				t.Fatal(err)
			}
			const script = `trap 'echo caught; exit 7' TERM; echo > ready; while :; do sleep 0.01; done`
			c := exec.Command(sallyport, "run", "--sandbox", mode, "--allow", allowed, "--", "sh", "-c", script)
			var stdout bytes.Buffer
			c.Env, c.Dir, c.Stdout, c.Stderr = b.env, b.home, &stdout, os.Stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.ReadFile(ready); err != nil { // until the trap is set
				t.Fatal(err)
			}
			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait() // the status says it
			if got := status(c.ProcessState); got != 7 || stdout.String() != "caught\n" {
				t.Errorf("status %d, stdout %q; want 7 and %q", got, stdout.String(), "caught\n")
			}
			gone(t, b.marker)
		})
	}
}

// What a command leaves running in the background dies with the sandbox.
func TestBackgroundChildrenDie(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t)
			const script = `setsid sleep infinity >/dev/null 2>&1 </dev/null & nohup sleep infinity >/dev/null 2>&1 & exit 3`
			if r := b.run(t, "run", "--sandbox", mode, "--allow", allowed, "--", "sh", "-c", script); r.status != 3 {
				t.Errorf("%s\nwant status 3", r)
			}
			// No waiting here: once the run is over, nothing of it is left.
			if left := processes(t, b.marker); len(left) > 0 {
				t.Errorf("still running: %s", strings.Join(left, "; "))
			}
		})
	}
}

// The command's own surroundings: three descriptors, its own session, no capability, nothing of ours to talk to.
func TestInside(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t)
			inside := func(script string) string {
				t.Helper()
				r := b.run(t, "run", "--sandbox", mode, "--allow", allowed, "--", "sh", "-c", script)
				if r.status != 0 {
					t.Errorf("%s: %s", script, r)
				}
				return strings.TrimSpace(r.stdout)
			}
			// Not by listing the directory: that takes a descriptor itself. (10 is dash's own, for its script.)
			fds := strings.Fields(inside(`for d in 0 1 2 3 4 5 6 7 8 9; do ! test -e /proc/$$/fd/$d || echo $d; done`))
			if got := strings.Join(fds, " "); got != "0 1 2" {
				t.Errorf("descriptors inside = %s, want 0 1 2", got)
			}
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
				if got := inside("grep ^" + set + ": /proc/self/status | cut -f2"); strings.Trim(got, "0") != "" {
					t.Errorf("%s inside = %s, want 0", set, got)
				}
			}
			if got := inside("grep ^NoNewPrivs: /proc/self/status | cut -f2"); got != "1" {
				t.Errorf("NoNewPrivs inside = %s, want 1", got)
			}
			if got, want := inside("id -u"), fmt.Sprint(os.Getuid()); got != want {
				t.Errorf("user inside = %s, want %s", got, want)
			}
			if got := inside(`echo "$NO_PROXY"`); strings.Contains(got, "169.254") || strings.Contains(got, "10.") {
				t.Errorf("NO_PROXY inside = %q, want no private range", got)
			}
		})
	}
}
