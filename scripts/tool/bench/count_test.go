// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/bridge"
)

func TestMain(m *testing.M) {
	bridge.Init()
	if len(os.Args) > 2 && os.Args[1] == "role" {
		if err := playRole(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// counted are the system calls that a set-up makes itself. How often a thread is put to sleep and woken depends on what
// else the machine does, and is left out.
var counted = []string{"accept4", "read", "write", "recvfrom", "sendto", "close", "socket", "connect", "setsockopt", "getsockopt", "getsockname",
	"getpeername", "epoll_ctl", "shutdown", "splice", "fcntl", "pipe2"}

// mostCalls is a little above what one set-up takes, to its end: 18.5 when this was written.
const mostCalls = 21

// Time is noise; how often a set-up enters the kernel is not.
func TestSystemCallsPerSetUp(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed; ./scripts/setup installs it")
	}
	b, r := startPair(t)
	out := filepath.Join(t.TempDir(), "calls")
	strace := exec.Command("strace", "-f", "-c", "-o", out, "-e", "trace="+strings.Join(counted, ","), "-p", strconv.Itoa(r.cmd.Process.Pid))
	if err := strace.Start(); err != nil {
		t.Fatal(err)
	}
	attached(t, r.cmd.Process.Pid)
	res, _, err := b.load(r, "", "-kind", "setup", "-n", "4", "-run", "1s")
	if err != nil {
		t.Fatal(err)
	}
	strace.Process.Signal(syscall.SIGINT)
	strace.Wait()
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	sum := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		if n, err := strconv.Atoi(f[3]); err == nil {
			calls[f[len(f)-1]] = n
			sum += n
		}
	}
	if res.Count < 50 || calls["connect"] < res.Count {
		t.Fatalf("%d tunnels, but the calls are %v\n%s", res.Count, calls, text)
	}
	if each := float64(sum) / float64(res.Count); each > mostCalls {
		t.Errorf("%.1f system calls per set-up, want at most %d: %v in %d", each, mostCalls, calls, res.Count)
	} else {
		t.Logf("%.1f system calls per set-up", each)
	}
}

// startPair starts an origin and the built-in proxy.
func startPair(t *testing.T) (*bench, *running) {
	t.Helper()
	b := &bench{ctx: context.WithoutCancel(t.Context()), data: newData()}
	o, err := startRole(b.ctx, "origin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.stop)
	line, err := o.line()
	if err == nil {
		b.target, err = netip.ParseAddrPort(line)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := kinds[len(kinds)-1].start(b.ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return b, r
}

// attached waits until every thread of the process is traced.
func attached(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		traced := 0
		for _, path := range all {
			text, _ := os.ReadFile(path)
			if len(text) > 0 && !strings.Contains(string(text), "TracerPid:\t0\n") {
				traced++
			}
		}
		if len(all) > 0 && traced == len(all) {
			return
		}
		if time.Now().After(deadline) {
			t.Skip("strace may not trace processes here")
		}
	}
}

// raced reports whether this is the race detector's build, which keeps several bytes for each.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Idle tunnels hold two descriptors each, and little memory.
func TestIdleTunnels(t *testing.T) {
	const tunnels = 500
	b, r := startPair(t)
	for _, n := range []int{tunnels, tunnels} { // the second time nothing is new any more
		before, err := r.usage()
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.startClient(r, "", "-kind", "hold", "-n", fmt.Sprint(n))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.line(); err != nil {
			t.Fatal(err)
		}
		idle, err := r.usage()
		if err != nil {
			t.Fatal(err)
		}
		c.stop()
		if got := idle.Files - before.Files; got < 2*n || got > 2*n+4 {
			t.Errorf("%d idle tunnels hold %d descriptors", n, got)
		}
		if got := (idle.Pss - before.Pss) / int64(n); got > 6<<10 && !raced() {
			t.Errorf("an idle tunnel holds %d bytes, want at most 6 KiB, garbage included", got)
		}
		deadline := time.Now().Add(20 * time.Second)
		for {
			after, err := r.usage()
			if err != nil {
				t.Fatal(err)
			}
			if after.Files <= before.Files+4 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d descriptors after the tunnels, %d before", after.Files, before.Files)
			}
		}
	}
}
