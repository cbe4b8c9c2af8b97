// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// EX-06: the death of the child closes everything, and the handle says why.
func TestUnexpectedDeath(t *testing.T) {
	t.Parallel()
	h := start(t, Spec{Argv: fake(t, "die")})
	dial(t, h)
	select {
	case <-h.Done():
	case <-time.After(long):
		t.Fatal("Done is not closed although the child is dead")
	}
	var exit *ExitError
	if err := h.Err(); !errors.As(err, &exit) || exit.Code != 7 || !exit.Ready || !strings.Contains(exit.Output, "disk is full") {
		t.Errorf("Err = %v; want an *ExitError with status 7 and the last words", err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close after the death: %v", err)
	}
}

func TestKilledChild(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	h := start(t, Spec{Argv: fake(t, "fork", "", pidFile), Env: []string{testMark(t)}})
	grandchild := readPid(t, pidFile)
	parent, err := readStat(grandchild)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(parent.parent, unix.SIGKILL)
	<-h.Done()
	var exit *ExitError
	if err := h.Err(); !errors.As(err, &exit) || exit.Code != -1 || !strings.Contains(exit.Status, "killed") {
		t.Errorf("Err = %v; want an *ExitError that names the signal", err)
	}
	if exists(grandchild) {
		t.Errorf("the grandchild %d survived the child", grandchild)
	}
}

// EX-09 and EX-10: neither a deaf child nor a grandchild anywhere survives Close.
func TestCloseEndsTheTree(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"stubborn", "fork", "fork-setsid", "fork-orphan"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			pidFile := filepath.Join(t.TempDir(), "pid")
			mark := testMark(t)
			const grace = 50 * time.Millisecond
			h := start(t, Spec{Argv: fake(t, behaviour, "", pidFile), Env: []string{mark}, StopGrace: grace})
			if behaviour != "stubborn" {
				readPid(t, pidFile)
			}
			began := time.Now()
			if err := h.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if took := time.Since(began); took < grace {
				t.Errorf("Close took %v; want the grace of %v to be given", took, grace)
			}
			if left := carriers(mark); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// A process that has left its session, its parent and its environment behind is known by where its output goes.
func TestCloseEndsWhoWritesToTheOutput(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	stray := fake(t, "grandchild", "", pidFile)
	const script = `(setsid env -i "$1" "$2" "$3" "$4" "$5" &); exec "$1" "$2" serve "$6"`
	argv := append([]string{"sh", "-c", script, "sh"}, stray...)
	h := start(t, Spec{Argv: append(argv, "{port}"), StopGrace: 50 * time.Millisecond})
	pid := readPid(t, pidFile)
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if exists(pid) {
		t.Errorf("the process %d is left", pid)
	}
}

func TestShutdownIsLimitedByItsContext(t *testing.T) {
	t.Parallel()
	mark := testMark(t)
	h := start(t, Spec{Argv: fake(t, "stubborn"), Env: []string{mark}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v; want DeadlineExceeded", err)
	}
	if left := carriers(mark); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// The errors of a shutdown that came too late do not hide that something is left.
func TestShutdownTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	left := errors.New("left")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // whichever of the two ends is seen first
		p := &process{tree: retiredTree(), leftErr: left,
			stopping: make(chan struct{}), killing: make(chan struct{}), done: make(chan struct{})}
		close(p.done)
		if err := p.shutdown(ctx); !errors.Is(err, left) {
			t.Fatalf("shutdown: %v; want what is left in it", err)
		}
	}
}

// Once the child is reaped its process id may be a stranger's, here this process's.
func TestRetiredTreeIsEmpty(t *testing.T) {
	t.Parallel()
	if got := retiredTree().alive(); len(got) > 0 {
		t.Errorf("alive = %v; want nobody", got)
	}
}

func retiredTree() *tree {
	retired := newTree(&os.Process{Pid: os.Getpid()}, "", nil)
	retired.retire(func() {})
	return retired
}

// EX-12: a child that writes without end is neither blocked nor remembered whole.
func TestFlood(t *testing.T) {
	t.Parallel()
	h := start(t, Spec{Argv: fake(t, "flood"), StopGrace: -1})
	for range 20 {
		c := dial(t, h)
		fmt.Fprint(c, "CONNECT a:443 HTTP/1.1\r\n\r\nping")
		if _, err := io.ReadFull(c, make([]byte, 40)); err != nil {
			t.Fatalf("the proxy does not answer while it floods its output: %v", err)
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// LC-20: the child does not outlive a host that is killed.
func TestHostKilled(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	host := startFake(false, "parent", "", pidFile)
	child := readPid(t, pidFile)
	_ = host.Process.Kill()
	_ = host.Wait()
	await(t, "the child ends with its host", func() bool { return !exists(child) })
}

// LC-09 and LC-22: a hundred starts, good and bad, leave nothing behind.
func TestHundredRunsLeaveNothing(t *testing.T) {
	env := []string{noRaceDelay}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	run := func() {
		h, err := Spec{Argv: fake(t, "serve"), Config: "{addr}", Files: map[string]string{"a/b": ""}, Env: env, StartTimeout: long}.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if _, err := (Spec{Argv: fake(t, "exit"), Config: "x", Env: env, StartTimeout: long}).Start(t.Context()); err == nil {
			t.Fatal("Start succeeded; want an error")
		}
	}
	run() // the runtime opens descriptors of its own when it first needs them
	before := descriptors(t)
	for range 50 {
		run()
	}
	await(t, fmt.Sprintf("descriptors are back to %d and no child is left", before), func() bool {
		return leakedProcesses() == 0 && descriptors(t) <= before
	})
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("%v is left in the temporary directory, %v", left, err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// leakedProcesses counts the children of this process, zombies included.
func leakedProcesses() int {
	n := 0
	for _, s := range readAllStats() {
		if s.parent == os.Getpid() {
			n++
		}
	}
	return n
}
