// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// marker returns an argument for sleep(1) that no other process has.
func marker(t *testing.T) string {
	t.Helper()
	s, err := unforeseeable()
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	fmt.Sscanf(s[:8], "%x", &n)
	return fmt.Sprintf("1%010d", n)
}

// start starts cmd and returns its output, of which the first line, "up", is read.
func start(t *testing.T, cmd *exec.Cmd) *bufio.Reader {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "up\n" {
		t.Fatalf("first line from the command = %q, %v, want up", line, err)
	}
	return r
}

func TestSandboxSignals(t *testing.T) {
	t.Parallel()
	const script = `trap "exit 33" HUP INT QUIT TERM USR1 USR2 WINCH; echo up; while :; do sleep 0.02; done`
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		for _, s := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH} {
			cmd := w.command(t, Sandbox{Mode: m}, "sh", "-c", script)
			start(t, cmd)
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatalf("signal %v: %v", s, err)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != 33 {
				t.Errorf("after %v the status is %d, want the trap's, 33", s, got)
			}
		}
	})
}

// TestSandboxStop: SIGTSTP stops the command, SIGCONT has it go on.
func TestSandboxStop(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		mark := marker(t)
		cmd := newWorld(t).command(t, Sandbox{Mode: m}, "sh", "-c", `trap "exit 33" CONT; echo up; sleep 1000 & wait; exit 1`, "sh", mark)
		start(t, cmd)
		state := func() string {
			for _, pid := range processes(t, mark) {
				stat, _ := os.ReadFile("/proc/" + pid + "/stat") // PID (COMM) STATE …
				if _, after, ok := strings.Cut(string(stat), " (sh) "); ok {
					return after[:1]
				}
			}
			return ""
		}
		if err := cmd.Process.Signal(unix.SIGTSTP); err != nil {
			t.Fatal(err)
		}
		if !eventually(func() bool { return state() == "T" }) {
			t.Errorf("state of the command after SIGTSTP = %q, want T", state())
		}
		if err := cmd.Process.Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 33 {
			t.Errorf("status after SIGCONT = %d, want the trap's, 33", got)
		}
	})
}

// TestSandboxEarlySignal: a signal that comes while the sandbox is still being set
// up is not lost, whenever it comes.
func TestSandboxEarlySignal(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		mark := marker(t)
		for i := range 20 {
			cmd := w.command(t, Sandbox{Mode: m}, "sleep", mark)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.NewTimer(time.Duration(i) * time.Millisecond)
			<-timer.C
			if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			if got, _ := waitStatus(cmd, err); got != 143 {
				t.Errorf("SIGTERM after %d ms: status %d, want 143", i, got)
			}
		}
		if left := processes(t, mark); len(left) != 0 {
			t.Errorf("processes %v are left", left)
		}
	})
}

// TestSandboxCollects: the garbage collector takes no descriptor away from the
// processes that hold a sandbox together.
func TestSandboxCollects(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		cmd := newWorld(t).command(t, Sandbox{Mode: m}, "true")
		cmd.Env = append(os.Environ(), "GOGC=1") // and enough to copy for a collection before each step
		for i := range 200 {
			cmd.Env = append(cmd.Env, fmt.Sprintf("FILL%d=%04000d", i, i))
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("Run: %v, want success; output %q", err, out)
		}
	})
}

func TestSandboxBackground(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		mark := marker(t)
		cmd := newWorld(t).command(t, Sandbox{Mode: m}, "sh", "-c",
			"setsid sleep "+mark+" & (trap '' HUP TERM; sleep "+mark+") & echo up; exit 3")
		out, _ := cmd.Output() // waits for the end of everybody who could write, too
		if got := cmd.ProcessState.ExitCode(); got != 3 || string(out) != "up\n" {
			t.Errorf("status %d, output %q, want 3 and up", got, out)
		}
		if left := processes(t, mark); len(left) != 0 {
			t.Errorf("background processes %v outlive the command", left)
		}
	})
}

// TestSandboxParentKilled: SIGKILL to the program that uses this library leaves nothing.
func TestSandboxParentKilled(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		mark := marker(t)
		cmd := exec.CommandContext(t.Context(), self, "helper", "parent", string(m), "sh", "-c", "echo up; sleep "+mark+" & sleep "+mark)
		cmd.Dir = "/"
		start(t, cmd)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if !eventually(func() bool { return len(processes(t, mark)) == 0 }) {
			t.Errorf("processes %v outlive their parent", processes(t, mark))
		}
		_ = cmd.Wait()
	})
}

// TestSandboxSupervisorKilled: SIGKILL to the command's process ends the sandbox.
func TestSandboxSupervisorKilled(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		mark := marker(t)
		cmd := newWorld(t).command(t, Sandbox{Mode: m}, "sh", "-c", "echo up; sleep "+mark)
		start(t, cmd)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("a killed sandbox ended with status 0")
		}
		if !eventually(func() bool { return len(processes(t, mark)) == 0 }) {
			t.Errorf("processes %v outlive their supervisor", processes(t, mark))
		}
	})
}

func TestSandboxContext(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		mark := marker(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cmd, err := Sandbox{Mode: m}.Command(ctx, newWorld(t).Handle, "sh", "-c", "trap '' TERM INT; echo up; sleep "+mark)
		if err != nil {
			t.Fatal(err)
		}
		start(t, cmd)
		cancel()
		_ = cmd.Wait()
		// And not -1, for a supervisor that had to be killed itself.
		if got := cmd.ProcessState.ExitCode(); got != 128+int(unix.SIGKILL) {
			t.Errorf("status of a cancelled sandbox = %d, want %d", got, 128+int(unix.SIGKILL))
		}
		if left := processes(t, mark); len(left) != 0 {
			t.Errorf("processes %v are left after the cancelled command was waited for", left)
		}
	})
}

// TestSandboxHandleClosed: closing the handle cuts tunnels from inside.
func TestSandboxHandleClosed(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		cmd := w.command(t, Sandbox{Mode: m}, self, "helper", "hold", w.origin)
		out := start(t, cmd)
		if line, err := out.ReadString('\n'); err != nil || line != "200 hello\n" {
			t.Fatalf("inside says %q, %v, want a tunnel", line, err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if line, err := out.ReadString('\n'); err != nil || line != "end\n" {
			t.Errorf("inside says %q, %v, want the end of the tunnel", line, err)
		}
		if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, "connection refused") {
			t.Errorf("after Close inside says %q, %v, want a refused connection", line, err)
		}
		_ = cmd.Wait()
	})
}

// TestSandboxUnstarted: a command that is never started leaves nothing behind, which
// TestMain checks in the end.
func TestSandboxUnstarted(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		before := countFDs()
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := (Sandbox{Mode: m}).Command(ctx, w.Handle, "true"); err != nil {
			t.Fatal(err)
		}
		cancel()
		if !eventually(func() bool { return countFDs() <= before }) {
			t.Errorf("%d descriptors after the context's end, before %d", countFDs(), before)
		}
		if _, err := (Sandbox{Mode: m}).Command(context.Background(), w.Handle, "true"); err != nil {
			t.Fatal(err)
		}
		if !eventually(func() bool { runtime.GC(); return countFDs() <= before }) {
			t.Errorf("%d descriptors after the command is forgotten, before %d", countFDs(), before)
		}
	})
}

// TestSandboxOutputEnds: a reader sees the end of the output when the command closes
// it, not only when it ends.
func TestSandboxOutputEnds(t *testing.T) {
	t.Parallel()
	if _, err := Probe(t.Context(), UserNS); err != nil {
		t.Skipf("not tested: %v", err)
	}
	cmd := newWorld(t).command(t, Sandbox{Mode: UserNS}, "sh", "-c", "echo up; exec >&- 2>&-; read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := start(t, cmd)
	if rest, err := io.ReadAll(out); err != nil || len(rest) != 0 {
		t.Errorf("rest of the output = %q, %v, want its end", rest, err)
	}
	in.Close()
	_ = cmd.Wait()
}
