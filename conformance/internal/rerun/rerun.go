// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package rerun starts the running test binary once more, as a child that always ends: a run of the suite needs a
// fake Internet of its own, and with it a process. It is for the suite's own tests.
package rerun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// grace is how long a child that was told to end may take to say where its goroutines are, and how long what it
// leaves behind may hold its output open.
const grace = 10 * time.Second

// Output runs the binary with args, and with env added to the environment, and returns its output, standard error
// included. The error is that of exec.Cmd.Run. A process the child leaves behind with its output open is no error,
// since some of the faults the suite is tested with leave one, and does not keep Output from returning.
//
// When ctx ends the child is told to print its goroutines and to end, and killed if it does not; the error then says
// so and wraps the context's cause. On Linux the child also dies with this process, however that ends.
func Output(ctx context.Context, env []string, args ...string) ([]byte, error) {
	// The kernel watches the thread that forks, so it must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = grace
	tie(cmd)
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("rerun: the child was still running: %w (%w); what it was doing is in its output", context.Cause(ctx), err)
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	}
	return out.Bytes(), err
}

// Context returns a context that ends after most, or shortly before the deadline of the test binary if that is
// sooner: what go test prints at its deadline are the goroutines of the parent, which only waits.
func Context(t *testing.T, most time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	end := time.Now().Add(most)
	if d, ok := t.Deadline(); ok && d.Add(-3*grace).Before(end) {
		end = d.Add(-3 * grace)
	}
	return context.WithDeadlineCause(t.Context(), end, errors.New("it took too long"))
}
