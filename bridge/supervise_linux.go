// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stayDelay is how long what started a sandbox's first process may outlive it.
const stayDelay = 2 * time.Second

// A supervisor is the process that Sandbox.Command starts. It stays outside the
// sandbox and carries no traffic; it makes the sandbox look like one process:
// signals that arrive at any time reach the command, and when it ends, nothing that
// ran in the sandbox is left. (bwrap passes no signals on, and one that is killed
// ends before the processes it started have; process 1 inside would lose the
// signals that arrive before it can pass them on.)

// superviseBwrap starts args[1:], which is bwrap's command line, for the gate args[0].
func superviseBwrap(args []string) error {
	if len(args) < 2 {
		return errNotAlone
	}
	return new(charge).supervise(args[0], args[1], args[1:], nil)
}

// superviseOwn starts a sandbox of our own for the command args[1:].
func superviseOwn(args []string) error {
	if len(args) < 2 {
		return errNotAlone
	}
	sys, err := ownNamespaces()
	if err != nil {
		return err
	}
	sys.Pdeathsig = unix.SIGKILL // this thread lasts as long as this process: see runRole
	return new(charge).supervise(args[0], runningProgram, append([]string{"sallyport-init", roleSetup}, args[1:]...), sys)
}

// probeBwrap runs argv, a bwrap command line that needs no supervision, and waits
// for all of it.
func probeBwrap(argv []string) error {
	if err := adopt(); err != nil {
		return err
	}
	self, err := openSelf()
	if err != nil {
		return err
	}
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2, uintptr(self), uintptr(self)}, // the second is where fdSelf says
	})
	if err != nil {
		return fmt.Errorf("bridge: start %s: %w", argv[0], err)
	}
	ws := reapUntil(pid)
	reapAll()
	return exited(ws)
}

// adopt makes what descendants leave behind children of this process, so that it can
// wait for them.
func adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("bridge: become the reaper of the sandbox's processes: %w", err)
	}
	return nil
}

// charge is what a supervisor is responsible for.
type charge struct {
	super int // socket on which the process inside introduces itself

	// Set by meet before met is closed, and unchanged from then on.
	pid   int // in this process namespace, of the sandbox's process 1
	pidfd int
	met   chan struct{}
}

// supervise starts the sandbox and returns how it ended.
func (c *charge) supervise(gate, path string, argv []string, sys *syscall.SysProcAttr) error {
	signals := catchSignals()
	if err := errors.Join(closeInherited(), adopt()); err != nil {
		return err
	}
	control, err := connectGate(gate)
	if err != nil {
		return err
	}
	self, err := openSelf()
	if err != nil {
		return err
	}
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	c.super, c.met = ours, make(chan struct{})
	if err := unix.SetsockoptInt(c.super, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("bridge: ask for the credentials of the sandbox's process: %w", err)
	}
	where := startDirectory()
	if err := sendFDs(c.super, message{Directory: &where}); err != nil {
		return fmt.Errorf("bridge: tell the sandbox's process its directory: %w", err)
	}
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2, uintptr(control), uintptr(self), uintptr(theirs)},
		Sys:   sys,
	})
	if err != nil {
		return fmt.Errorf("bridge: start %s: %w", path, err)
	}
	unix.Close(theirs)
	releaseStdio()
	kill := killer(pid)
	go func() {
		awaitHangup(control) // the process that wanted all this is gone
		kill()
	}()
	go c.attend(signals, kill)
	offerServices(c.super) // while the sandbox is being made
	return c.status(reapUntil(pid))
}

// attend passes signals on until the sandbox's first process has ended, and then sees
// to it that what started it does not stay.
func (c *charge) attend(signals <-chan os.Signal, kill func()) {
	if !c.meet() {
		return // the sandbox has ended, or will
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		if c.pidfd >= 0 {
			awaitEvent(c.pidfd, unix.POLLIN)
		} else {
			awaitHangup(c.super)
		}
	}()
	for {
		select {
		case s := <-signals:
			if sig, ok := s.(unix.Signal); ok {
				c.signal(sig)
			}
		case <-over:
			<-time.After(stayDelay) // usually, this process has ended by then
			kill()
			return
		}
	}
}

// killer returns a function that kills the child pid, and never another process that
// has its id later.
func killer(pid int) func() {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil { // a kernel before 5.3
		return func() { _ = unix.Kill(pid, unix.SIGKILL) }
	}
	return func() { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }
}

// meet waits for the process that is to get the signals, and lets it go on.
func (c *charge) meet() bool {
	b, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	var n, oobn int
	err := error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		n, oobn, _, _, err = unix.Recvmsg(c.super, b, oob, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil || n == 0 {
		return false
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(cmsgs) != 1 {
		return false
	}
	cred, err := unix.ParseUnixCredentials(&cmsgs[0])
	if err != nil || cred.Pid <= 0 {
		return false
	}
	// It waits for the answer, so the id is still its own.
	c.pid = int(cred.Pid)
	if c.pidfd, err = unix.PidfdOpen(c.pid, 0); err != nil {
		c.pidfd = -1 // a kernel before 5.3
	}
	close(c.met)
	return sendFDs(c.super, message{Ready: true}) == nil
}

// signal sends s to the process that introduced itself, which knows best what it
// means. An error means that it has just ended.
func (c *charge) signal(s unix.Signal) {
	if c.pidfd >= 0 {
		// It is not our child: its id may be another's by now, its descriptor never is.
		_ = unix.PidfdSendSignal(c.pidfd, s, nil, 0)
		return
	}
	_ = unix.Kill(c.pid, s)
}

// status is what to end with when the sandbox has, and everything in it: what
// failed before the command could start is ExitFailed, whoever failed.
func (c *charge) status(ws unix.WaitStatus) error {
	reapAll()
	select {
	case <-c.met:
		return exited(ws)
	default:
	}
	if ws.Signaled() {
		return exited(ws)
	}
	return &exitError{status: ExitFailed} // whoever failed has said why
}

// reapAll waits until there are no children left, own or adopted, and kills them
// first. A bwrap that is killed early leaves a process behind that waits for it
// forever; one that ends leaves one behind that is about to die.
func reapAll() {
	for options := unix.WNOHANG; ; {
		pid, err := unix.Wait4(-1, nil, options, nil)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return
		case pid > 0: // there may be new ones: its children
			options = unix.WNOHANG
		case err == nil:
			for _, pid := range children() {
				_ = unix.Kill(pid, unix.SIGKILL) // it is ours until we wait for it
			}
			options = 0
		}
	}
}

// children returns the ids of this process's children.
func children() (pids []int) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, n := range names {
		pid, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + n.Name() + "/stat") // PID (COMM) STATE PPID …
		if err != nil {
			continue
		}
		var state string
		var parent int
		_, err = fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent)
		if err == nil && parent == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
