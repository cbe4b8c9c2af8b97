// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// exec makes this process the reaper of argv. The system call filter and the loss of
// capabilities hold for one thread, so nothing may run on another from then on
// but what the execution ends.
func (a *attached) exec(argv, env []string) error {
	switch {
	case !initialised.Load():
		return errors.New("bridge: Init was not called: call bridge.Init() first thing in main (in a test, in TestMain)")
	case len(argv) == 0 || argv[0] == "":
		return errors.New("bridge: no command to run")
	}
	f, err := a.conn.File()
	if err != nil {
		return fmt.Errorf("bridge: keep the control socket: %w", err)
	}
	defer f.Close()
	fd := int(f.Fd())
	runtime.LockOSThread() // and never unlocked: this thread is spoilt
	if err := renounce(); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("bridge: keep the control socket: %w", err)
	}
	if !a.params.open(DoorHostVariables) {
		env = withoutHostVariables(env, nil)
	}
	env = a.environ(env)
	if err := shutDoors(a.params, false); err != nil {
		return err
	}
	args := append([]string{"sallyport-attached", roleAttached, strconv.Itoa(fd)}, argv...)
	err = syscall.Exec(runningProgram, args, env)
	return fmt.Errorf("bridge: execute %s again: %w: it takes a /proc", runningProgram, err)
}

// renounce is dropPrivileges where this process may not empty the bounding set: with
// no_new_privs set nothing comes out of that (capabilities(7)).
func renounce() error {
	if capable(unix.CAP_SETPCAP) {
		return dropPrivileges()
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	return checkRenounced()
}

// checkRenounced asks the kernel, rather than believe that renounce worked.
func checkRenounced() error { return checkStatus("CapInh", "CapPrm", "CapEff", "CapAmb") }

// reapAttached is what Exec becomes: args[0] is the number of the control socket's
// descriptor, and what follows is the command. It has no capability, and the command, though of the
// same user, can neither trace it nor see its files.
func reapAttached(args []string) error {
	fd, err := strconv.Atoi(args[0])
	if err != nil || len(args) < 2 || !isControl(fd) {
		return errNotAlone
	}
	argv := args[1:]
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("bridge: hide the parent of the command: %w", err)
	}
	if err := errors.Join(closeInherited(fd), sealDescriptors(), checkRenounced(), adopt()); err != nil {
		return err
	}
	env := os.Environ()
	signals, caught := catchSignals()
	<-caught
	file, err := lookUp(argv[0], env)
	if err != nil {
		return err
	}
	pid, err := syscall.ForkExec(file, argv, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2},
		Sys:   attachedSession(),
	})
	if err != nil {
		return cannotRun(argv[0], err)
	}
	go func() {
		awaitHangup(fd)
		fmt.Fprintf(os.Stderr, "%sthe proxy has let go of this sandbox: the command has no network any more\n", messagePrefix)
	}()
	go func() {
		for s := range signals {
			deliver(s, pid)
		}
	}()
	ws := reapUntil(pid)
	if os.Getpid() != 1 { // whose end is the end of everything
		reapAll()
	}
	return exited(ws)
}

// attachedSession gives the command the foreground of the terminal, where this process has
// one, and else a session of its own. It dies with this process in any case.
func attachedSession() *syscall.SysProcAttr {
	sys := &syscall.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}
	foreground, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	if err == nil && foreground == unix.Getpgrp() {
		sys.Setsid, sys.Foreground, sys.Ctty = false, true, 0
	}
	return sys
}
