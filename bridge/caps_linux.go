// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dropPrivileges takes every capability from the calling thread, for good, and
// sets no_new_privs. Linux keeps these per thread, so the caller must be locked to
// its thread and execute the next program from it.
func dropPrivileges() error {
	if err := dropBounding(); err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	return checkUnprivileged()
}

// dropCapabilities is dropPrivileges but for the bounding set.
func dropCapabilities() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("bridge: clear ambient capabilities: %w", err)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData // the kernel reads two for this version
	if err := unix.Capset(&hdr, &none[0]); err != nil {
		return fmt.Errorf("bridge: drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("bridge: set no_new_privs: %w", err)
	}
	return nil
}

// dropBounding empties the bounding set, so that not even a program executed
// by uid 0 gets a capability back. bwrap may have emptied it already, and then this
// process need not have, and does not have, the capability to do so.
func dropBounding() error {
	for c := 0; ; c++ {
		set, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // past the last capability this kernel knows
		}
		if err != nil {
			return fmt.Errorf("bridge: read capability bounding set: %w", err)
		}
		if set == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("bridge: drop capability %d from the bounding set: %w", c, err)
		}
	}
}

// checkUnprivileged asks the kernel, rather than believe that dropPrivileges worked.
func checkUnprivileged() error { return checkStatus("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") }

// checkAllThreads asks the kernel, rather than believe that dropInAllThreads worked. Where this thread has
// a system call filter, the others must have one, too.
func checkAllThreads() error {
	const tasks = "/proc/self/task"
	own, err := threadStatus()
	if err != nil {
		return err
	}
	names, err := os.ReadDir(tasks)
	if err != nil || len(names) == 0 {
		return fmt.Errorf("bridge: list the threads of process 1 of the sandbox: %w", errors.Join(err, os.ErrNotExist))
	}
	want := map[string]uint64{"NoNewPrivs": 1, "CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0}
	if isFiltered(own) {
		want["Seccomp"] = unix.SECCOMP_MODE_FILTER
	}
	for _, n := range names {
		status, err := readProc(path.Join(tasks, n.Name(), "status"))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err == nil {
			err = compareStatus(string(status), want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// threadStatus is what the kernel says of this thread, and takes a /proc.
func threadStatus() ([]byte, error) {
	status, err := readProc("/proc/thread-self/status")
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: it takes a /proc here (bwrap --proc /proc)", err)
	}
	return status, err
}

// checkStatus makes sure that these sets of this thread's capabilities are empty, and that
// no_new_privs is set.
func checkStatus(sets ...string) error {
	status, err := threadStatus()
	if err != nil {
		return fmt.Errorf("bridge: check that no capability is left: %w", err)
	}
	want := map[string]uint64{"NoNewPrivs": 1}
	for _, set := range sets {
		want[set] = 0
	}
	return compareStatus(string(status), want)
}

// compareStatus makes sure that the status of a thread has the values that are wanted.
func compareStatus(status string, want map[string]uint64) error {
	found := 0
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		w, ok := want[key]
		if !ok {
			continue
		}
		got, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil || got != w {
			return fmt.Errorf("bridge: %s is %q in the sandbox, want %x: refusing to run the command",
				key, strings.TrimSpace(value), w)
		}
		found++
	}
	if found != len(want) {
		return errors.New("bridge: the status of a thread in /proc does not tell its capabilities: refusing to run the command")
	}
	return nil
}

// closeInherited closes what this process inherited without being meant to, and
// marks keep, which it was meant to inherit, close-on-exec.
// What the parent leaked lacks close-on-exec, or it would not be here;
// everything that this program has opened itself since has it.
func closeInherited(keep ...int) error {
	return eachFD(func(fd int) error {
		if slices.Contains(keep, fd) {
			unix.CloseOnExec(fd)
			return nil
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			return nil // gone by now, or our own
		}
		return unix.Close(fd)
	})
}

// sealDescriptors marks everything above standard error close-on-exec.
func sealDescriptors() error {
	if unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	return eachFD(func(fd int) error { // a kernel before 5.11
		unix.CloseOnExec(fd)
		return nil
	})
}

// eachFD calls do for every open descriptor above standard error.
func eachFD(do func(fd int) error) error {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("bridge: list open descriptors: %w", err)
	}
	for _, n := range names {
		fd, err := strconv.Atoi(n.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if err := do(fd); err != nil {
			return fmt.Errorf("bridge: close inherited descriptor %d: %w", fd, err)
		}
	}
	return nil
}
