// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reap is process 1 of a sandbox: it starts the command, passes signals on, and ends
// with it, which kills whatever else runs in the sandbox. It has no capability,
// and the command, though of the same user, can neither trace it nor see its files.
func reap(argv []string) error { return runReaper(argv, false) }

func reapTTY(argv []string) error { return runReaper(argv, true) }

func runReaper(argv []string, tty bool) error {
	if !isControl(fdSuper) || os.Getpid() != 1 {
		return errNotAlone
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("bridge: hide process 1 of the sandbox: %w", err)
	}
	if err := errors.Join(sealDescriptors(), checkUnprivileged()); err != nil {
		return err
	}
	env := os.Environ()
	signals := catchSignals()
	if err := introduce(); err != nil {
		return err
	}
	file, err := lookUp(argv[0], env)
	if err != nil {
		return err
	}
	pid, err := syscall.ForkExec(file, argv, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: tty, Ctty: 0},
	})
	if err != nil {
		return cannotRun(argv[0], err)
	}
	releaseStdio()
	go func() {
		awaitHangup(fdSuper) // nobody supervises this sandbox any more
		os.Exit(128 + int(unix.SIGKILL))
	}()
	go func() {
		for s := range signals {
			deliver(s, pid)
		}
	}()
	return exited(reapUntil(pid))
}

// releaseStdio lets go of the command's standard descriptors, so that whoever
// reads its output sees the end when the command closes it.
func releaseStdio() {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return // it costs only the early end of file
	}
	for fd := range 3 {
		_ = unix.Dup3(null, fd, 0)
	}
	unix.Close(null)
}

// reapUntil collects children, own and orphaned, until pid has ended.
func reapUntil(pid int) unix.WaitStatus {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		if got == pid && (ws.Exited() || ws.Signaled()) {
			return ws
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return unix.WaitStatus(ExitFailed << 8) // not our child any more: cannot happen
		}
	}
}
