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

// reaper is process 1 of a sandbox: it starts the command, passes signals on, and ends
// with it, which kills whatever else runs in the sandbox. It has no capability,
// and the command, though of the same user, can neither trace it nor see its files.
type reaper struct {
	argv, env []string
	tty       bool
	signals   <-chan os.Signal
	caught    <-chan struct{} // closed when signals are caught
}

// reap and reapTTY are the reaper in a process that was executed anew.
func reap(argv []string) error { return reapAnew(argv, false) }

func reapTTY(argv []string) error { return reapAnew(argv, true) }

func reapAnew(argv []string, tty bool) error {
	if !isControl(fdSuper) || os.Getpid() != 1 {
		return errNotAlone
	}
	r := reaper{argv: argv, env: os.Environ(), tty: tty}
	r.signals, r.caught = catchSignals()
	if err := checkUnprivileged(); err != nil {
		return err
	}
	return r.run()
}

// execute has this process become the reaper by executing the program again.
func (r reaper) execute() error {
	role := roleReaper
	if r.tty {
		role = roleReaperTTY
	}
	if _, err := unix.FcntlInt(fdSuper, unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("bridge: keep the supervisor's socket: %w", err)
	}
	err := syscall.Exec(runningProgram, append([]string{"sallyport-init", role}, r.argv...), r.env)
	return fmt.Errorf("bridge: execute %s again: %w", runningProgram, err)
}

// become has this process be the reaper as it is. What it had for the way here, an execution would
// have closed. What is in its memory and in /proc is nobody's to read from here on: see run.
func (r reaper) become() error {
	if err := checkAllThreads(); err != nil {
		return err
	}
	for _, fd := range []int{fdControl, fdSelf} {
		if err := unix.Close(fd); err != nil {
			return fmt.Errorf("bridge: close descriptor %d, which the command must not have: %w", fd, err)
		}
	}
	return r.run()
}

func (r reaper) run() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("bridge: hide process 1 of the sandbox: %w", err)
	}
	if err := sealDescriptors(); err != nil {
		return err
	}
	<-r.caught
	if err := introduce(); err != nil {
		return err
	}
	file, err := lookUp(r.argv[0], r.env)
	if err != nil {
		return err
	}
	// The thread that forks is this one, which has neither capabilities nor a bounding set.
	pid, err := syscall.ForkExec(file, r.argv, &syscall.ProcAttr{
		Env:   r.env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: r.tty, Ctty: 0},
	})
	if err != nil {
		return cannotRun(r.argv[0], err)
	}
	releaseStdio()
	go func() {
		awaitHangup(fdSuper) // nobody supervises this sandbox any more
		os.Exit(128 + int(unix.SIGKILL))
	}()
	go func() {
		for s := range r.signals {
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
