// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRunPassesSignals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		args := append([]string{"run", "--allow", "a.com", "--sandbox", mode, "--"}, self(t, "signals")...)
		p := newProc(t, args...)
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, whoever runs the test
		p.start()
		if got := p.line(); got != "ready" {
			t.Fatalf("got %q, want ready", got)
		}
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM} {
			p.signal(s)
			if got := p.line(); got != s.String() {
				t.Errorf("got %q, want %q", got, s)
			}
		}
		p.finish(7)
	})
}

func TestRunDiesOfTheSameSignal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1} {
			p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", "echo up; exec cat").start()
			p.line()
			p.signal(s)
			p.rest() // while stdin is open, nothing but the signal ends the command
			p.finish(128 + int(s))
		}
	})
}

// TestRunInterruptedAtEveryStage sends a signal after ever longer times, from
// before main to well after the command has started. Whatever it meets, every
// process must end (they all hold standard output, so its end says so) and no
// file may stay.
func TestRunInterruptedAtEveryStage(t *testing.T) {
	t.Parallel()
	step, steps := 4*time.Millisecond, 20
	if testing.Short() {
		steps = 5
	}
	each(t, func(t *testing.T, mode string) {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGKILL} {
			for i := range steps {
				p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", "echo up; (cat) & exec cat")
				p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				p.start()
				<-time.After(time.Duration(i) * step)
				p.signal(s)
				if mode == "none" {
					p.stdin.Close() // nothing enforced: the background process is not ours to end
				}
				out := p.rest()
				status := p.wait()
				ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
				died := ws.Signaled() && ws.Signal() == s
				if s == syscall.SIGQUIT && status == 2 && !strings.Contains(p.stderr.String(), "main.main(") {
					died = true // so the Go runtime ends a process whose packages are not initialised
				}
				if !died && (status != 128+int(s) || s == syscall.SIGKILL) && !(mode == "none" && status == 0) {
					t.Errorf("%v after %v: got %v, want the end by that signal; stdout %q, stderr %q", s, time.Duration(i)*step, p.cmd.ProcessState, out, p.stderr)
				}
				p.clean()
			}
		}
	})
}

func TestProxyInterruptedAtEveryStage(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		for i := range 10 {
			p := newProc(t, "proxy", "--allow", "a.com", "--socket", t.TempDir()+"/s").start()
			<-time.After(time.Duration(i) * 3 * time.Millisecond)
			p.signal(s)
			p.rest()
			status := p.wait()
			ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if status != 0 && !(ws.Signaled() && ws.Signal() == s) {
				t.Errorf("%v: got %v, want 0 or the end by that signal; stderr %q", s, p.cmd.ProcessState, p.stderr)
			}
			if _, err := os.Lstat(p.cmd.Args[len(p.cmd.Args)-1]); err == nil {
				t.Errorf("%v: the socket is left", s)
			}
			p.clean()
		}
	}
}

func TestRunKilledTakesItsSandboxAlong(t *testing.T) {
	t.Parallel()
	for _, mode := range modes(t) {
		if mode == "none" {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c",
				"trap '' TERM HUP INT; (trap '' TERM HUP INT; setsid sh -c 'sleep 1000 & sleep 1000') & echo up; sleep 1000").start()
			p.line()
			p.signal(syscall.SIGKILL)
			if got := p.rest(); got != "" { // all in the sandbox hold it, and would for longer than patience
				t.Errorf("got %q, want nothing", got)
			}
			p.wait()
			p.clean()
		})
	}
}

func TestRunNohup(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", "echo up; kill -HUP $$; echo still; cat")
		p.cmd.Path, p.cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap '' HUP; exec "$0" "$@"`, p.cmd.Path}, p.cmd.Args[1:]...)
		p.start()
		p.line()
		p.signal(syscall.SIGHUP)
		if got := p.finish(0); !strings.Contains(got, "still") {
			t.Errorf("got %q, want a command that ignores SIGHUP", got)
		}
	})
}
