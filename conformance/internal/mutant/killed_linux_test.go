// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// TestKilled: a suite that is killed leaves no process behind, whatever its probe was doing and whatever is wrong with
// the sandbox it was doing it in.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault refproxy.Fault
		op    string
	}{
		{"", probe.OpHold}, {"", probe.OpLinger}, {"", probe.OpPipe}, {"", probe.OpLater},
		{refproxy.OutlivesLauncher, probe.OpHold}, {refproxy.OutlivesLauncher, probe.OpLater},
		{refproxy.ChildLeft, probe.OpLinger}, {refproxy.ChildLeft, probe.OpPipe}, {refproxy.NetworkKept, probe.OpHold},
	} {
		t.Run(fmt.Sprintf("%s:%s", c.fault, c.op), func(t *testing.T) {
			t.Parallel()
			mark := envSandbox + "=" + string(c.fault) + ":" + c.op
			tmp := "TMPDIR=" + t.TempDir() // unique, and so what tells these processes from all others
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), mark, tmp)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd.Stderr = w
			err = cmd.Start()
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			said := make([]byte, len("ready"))
			if _, err := r.Read(said); err != nil || string(said) != "ready" {
				t.Fatalf("%q, %v", said, err)
			}
			// A command that leaves a child behind and ends takes a sandbox without faults with it, at once.
			over := c.op == probe.OpLinger && c.fault == ""
			if got := processes(t, tmp); len(got) < 3 && !over {
				t.Errorf("got processes %q: want the suite, the one outside and its sandbox", got)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			wantNone(t, tmp)
		})
	}
}

// wantNone waits for the end of every process with kv in its environment, far shorter than a probe lives.
func wantNone(t *testing.T, kv string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var left []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if left = processes(t, kv); len(left) == 0 {
			return
		}
	}
	t.Errorf("left behind: %q", left)
}

// processes are the command lines of the living processes with kv in their environment, apart from those that are
// dead and not waited for yet: these have none.
func processes(t *testing.T, kv string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err != nil || !bytes.Contains(env, []byte(kv+"\x00")) {
			continue
		}
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		out = append(out, e.Name()+" "+probe.CommandLine(line))
	}
	return out
}
