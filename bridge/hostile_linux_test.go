// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pry tries, as a hostile command would, to get hold of the sandbox's first process,
// and prints what works.
func pry() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for i := range 8 {
		if got, err := unix.PidfdGetfd(fd, i, 0); err == nil {
			fmt.Println("pidfd_getfd", i)
			unix.Close(got)
		}
	}
	for _, name := range []string{"environ", "mem", "maps", "fd", "root/", "cwd/", "fdinfo", "map_files"} {
		if f, err := os.Open("/proc/1/" + name); err == nil {
			if _, derr := f.Readdirnames(1); name != "environ" && name != "mem" && name != "maps" && derr != nil {
				err = derr
			} else {
				_, err = f.Read(make([]byte, 1))
			}
			if err == nil || name == "mem" {
				fmt.Println("open", name)
			}
			f.Close()
		}
	}
	if err := unix.PtraceAttach(1); err == nil { // and never let go of it
		fmt.Println("ptrace attach")
	}
	return nil
}

// TestSandboxFirstProcess: the command can do nothing to the first process, which
// would keep the sandbox from ending.
func TestSandboxFirstProcess(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd, err := Sandbox{Mode: m}.Command(ctx, newWorld(t).Handle, self, "helper", "pry")
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.CombinedOutput()
		if err != nil || len(out) != 0 {
			t.Errorf("against process 1 this works: %q, want nothing and status 0: %v", out, err)
		}
	})
}

// TestSandboxParentKilledStopped: not even a supervisor that is stopped keeps the sandbox alive.
func TestSandboxParentKilledStopped(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		mark := marker(t)
		// A parent below a subreaper, so that its children do not go to process 1,
		// at which the kernel would have a stopped one go on.
		cmd := exec.CommandContext(t.Context(), self, "helper", "adopter", string(m), "sh", "-c", "echo up; sleep "+mark, mark)
		cmd.Dir = "/"
		start(t, cmd)
		defer func() { _ = cmd.Wait() }()
		defer func() { _ = cmd.Process.Kill() }()
		find := func(word string) int {
			for _, pid := range processes(t, mark) {
				if slices.Contains(processes(t, word), pid) {
					n, _ := strconv.Atoi(pid)
					return n
				}
			}
			t.Fatalf("no process %s", word)
			return 0
		}
		supervisor := find("sallyport-sandbox")
		if err := unix.Kill(supervisor, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Kill(supervisor, unix.SIGCONT) }()
		if err := unix.Kill(find("parent"), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		left := func() (pids []string) {
			for _, pid := range processes(t, mark) {
				if pid != strconv.Itoa(cmd.Process.Pid) {
					pids = append(pids, pid)
				}
			}
			return pids
		}
		if !eventually(func() bool { return len(left()) == 0 }) {
			t.Errorf("processes %v outlive their parent", left())
		}
	})
}

// adopter runs parent as a subreaper, and waits for all that the sandbox leaves to it.
func adopter(args []string) error {
	if err := adopt(); err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"helper", "parent"}, args...)...)
	cmd.Stdout = os.Stdout
	if err := cmd.Run(); err != nil && !strings.Contains(err.Error(), "killed") {
		return err
	}
	for { // whoever is left is a child now
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return nil
		}
	}
}

// TestSandboxBwrapStays: a bwrap that does not end when the command has is ended.
func TestSandboxBwrapStays(t *testing.T) {
	if _, err := Probe(t.Context(), Bwrap); err != nil {
		t.Skipf("not tested: %v", err)
	}
	bwrap, err := findBwrap()
	if err != nil {
		t.Fatal(err)
	}
	mark, dir := marker(t), tempDir(t)
	script := "#!/bin/sh\n" + bwrap + ` "$@"` + "\nsleep " + mark + "\n"
	if err := os.WriteFile(dir+"/bwrap", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd, err := Sandbox{Mode: Bwrap}.Command(ctx, newWorld(t).Handle, "true")
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); err == nil || ctx.Err() != nil {
		t.Errorf("Run: %v, context %v, want a status other than 0 in time", err, ctx.Err())
	}
	if left := processes(t, mark); len(left) != 0 {
		t.Errorf("processes %v are left", left)
	}
}
