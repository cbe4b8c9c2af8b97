// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package rerun_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/rerun"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// envRole says what a child is to do.
const envRole = "RERUN_TEST_ROLE"

// long is far longer than any child may live.
const long = 5 * time.Minute

func TestMain(m *testing.M) {
	switch role := os.Getenv(envRole); role {
	case "":
		os.Exit(m.Run())
	case "inside":
		if err := fixtures.Enter(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		hangsInHere()
	case "deaf":
		signal.Ignore(syscall.SIGQUIT)
		hangsInHere()
	case "says and hangs":
		fmt.Println("here")
		hangsInHere()
	case "leaves one behind":
		left := exec.Command(os.Args[0])
		left.Env = append(os.Environ(), envRole+"=stays")
		left.Stdout, left.Stderr = os.Stdout, os.Stderr
		if err := left.Start(); err != nil {
			panic(err)
		}
		fmt.Print(left.Process.Pid)
	case "stays":
		<-time.After(long)
	case "parent":
		_, _ = rerun.Output(context.Background(), []string{envRole + "=grandchild", "FIFO=" + os.Getenv("FIFO")})
	case "grandchild":
		// The test's own pipe: it ends when the last process that has it is gone.
		fifo, err := os.OpenFile(os.Getenv("FIFO"), os.O_WRONLY, 0)
		if err != nil {
			panic(err)
		}
		fmt.Fprint(fifo, "x")
		hangsInHere()
	}
	os.Exit(0)
}

func hangsInHere() { <-time.After(long) }

// TestHangs: a child that hangs ends, with its goroutines in the output, be it the one inside a fake Internet; one
// that does not listen is killed.
func TestHangs(t *testing.T) {
	t.Parallel()
	for role, says := range map[string]string{"inside": "hangsInHere", "says and hangs": "hangsInHere", "deaf": ""} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errEnough)
			defer cancel()
			out, err := rerun.Output(ctx, []string{envRole + "=" + role})
			if !errors.Is(err, errEnough) || !strings.Contains(err.Error(), "still running") {
				t.Errorf("got %v, want that it was still running", err)
			}
			if !strings.Contains(string(out), says) {
				t.Errorf("the output does not say where it hung:\n%s", out)
			}
		})
	}
}

var errEnough = errors.New("enough")

// TestLeftBehind: a process that holds the output open does not keep Output from returning.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	out, err := rerun.Output(t.Context(), []string{envRole + "=leaves one behind"})
	if err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > long/4 {
		t.Errorf("it took %v", took)
	}
	var pid int
	if _, err := fmt.Sscan(string(out), &pid); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the process left behind: %v", err)
	}
}

// TestDiesWithParent: a child does not outlive the process that waits for it, though that is killed.
func TestDiesWithParent(t *testing.T) {
	t.Parallel()
	fifo := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"=parent", "FIFO="+fifo)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(fifo) // waits for the grandchild
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("the child outlives its killed parent: %v", err)
	}
}
