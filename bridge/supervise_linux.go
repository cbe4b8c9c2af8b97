// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// stayDelay is how long what started a sandbox's first process may outlive it.
	stayDelay = 2 * time.Second
	// enterTimeout bounds how long it may take until the process inside a sandbox has
	// entered it, which takes milliseconds.
	enterTimeout = 10 * time.Second
	// maxAnswer bounds what the process inside and its supervisor say to each other once that has been told
	// what to do, and maxComplaint what of
	// the words of a way that failed are passed on, in bytes.
	maxAnswer, maxComplaint = 4 << 10, 16 << 10
)

// A supervisor is the process that Sandbox.Command starts. It stays outside the
// sandbox and carries no traffic; it makes the sandbox look like one process:
// signals that arrive at any time reach the command, and when it ends, nothing that
// ran in the sandbox is left. (bwrap passes no signals on, and one that is killed
// ends before the processes it started have; process 1 inside would lose the
// signals that arrive before it can pass them on.)

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
	signals <-chan os.Signal
	caught  <-chan struct{} // closed when signals are caught
	control int             // socket to the gate
	self    int             // the running program
	params  []byte

	services chan gathered // one, once it is there

	tell sync.Once // that signals are passed on

	mu   sync.Mutex // guards the following
	kill func()     // ends the sandbox that there is
	over bool       // nobody wants one any more
}

// supervise makes the sandbox that args describe (see wayArgs) and returns how it ended. Of two ways to
// make one, the second is tried when the first has come to nothing before there was a sandbox that
// the command could have been started in.
func supervise(args []string) error {
	gate, ways, err := parseWays(args)
	if err != nil {
		return err
	}
	c := &charge{kill: func() {}, services: make(chan gathered, 1)}
	c.signals, c.caught = catchSignals()
	go func() { c.services <- gather() }() // while the sandbox is being made
	if err := errors.Join(closeInherited(), adopt()); err != nil {
		return err
	}
	if c.control, err = connectGate(gate); err != nil {
		return err
	}
	if c.params, err = receivePacket(c.control); err != nil {
		return hostGone(err)
	}
	if c.self, err = openSelf(); err != nil {
		return err
	}
	go func() {
		awaitHangup(c.control) // the process that wanted all this is gone
		c.stop()
	}()
	var failed []error
	for _, w := range ways {
		a, err := c.start(w)
		if err == nil {
			if err = a.status(reapUntil(a.child)); a.isEntered() || c.isOver() {
				return err
			}
		}
		failed = append(failed, w.failure(err))
	}
	return noWay(failed)
}

// stop ends the sandbox, and has no other one made.
func (c *charge) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.kill()
}

func (c *charge) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// making is a sandbox that is being made, and then is there.
type making struct {
	*charge
	child int    // the process that was started
	end   func() // kills it
	super int    // socket on which the process inside introduces itself
	said  int    // file of what was said on standard error until the sandbox was entered

	entered chan struct{} // closed when the process inside has found the namespaces good
	settled chan struct{} // closed when entered and met are not going to be closed any more

	// Set by meet before met is closed, and unchanged from then on.
	pid   int // in this process namespace, of the sandbox's process 1
	pidfd int
	met   chan struct{}
}

// start starts to make a sandbox. What standard error is meant to be the process inside gets as a descriptor of
// its own: until it has entered the sandbox, what bwrap and it have to say goes to a file, for there
// may be another way.
func (c *charge) start(w way) (*making, error) {
	sys, err := w.attributes()
	if err != nil {
		return nil, err
	}
	a := &making{charge: c, entered: make(chan struct{}), settled: make(chan struct{}), met: make(chan struct{})}
	theirs, err := a.prepare()
	if err != nil {
		return nil, err
	}
	a.child, err = syscall.ForkExec(w.path, w.argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, uintptr(a.said), uintptr(c.control), uintptr(c.self), uintptr(theirs), 2},
		Sys:   sys,
	})
	unix.Close(theirs)
	if err != nil {
		return nil, fmt.Errorf("bridge: start %s: %w", w.path, err)
	}
	a.end = killer(a.child)
	c.mu.Lock()
	c.kill = a.end
	if c.over {
		c.kill()
	}
	c.mu.Unlock()
	go a.attend()
	a.inform()
	return a, nil
}

// inform tells the process inside what of the host it must take out of sight, for which that waits. Until
// now a signal ended this process, and with it the sandbox to be.
func (a *making) inform() {
	<-a.caught
	a.tell.Do(func() { _ = sendFDs(a.control, message{Ready: true}) }) // if it fails, awaitHangup sees why
	g := <-a.services
	a.services <- g // there may be another way
	if g.err == nil {
		_, g.err = unix.Seek(g.fd, 0, io.SeekStart)
	}
	if g.err != nil {
		_ = sendFDs(a.super, message{Error: g.err.Error()}) // or else it is gone
		return
	}
	_ = sendFDs(a.super, message{Ready: true}, g.fd)
}

// prepare makes what the process inside is to find, and returns its end of the socket to this process, on
// which it is told first what it must know.
func (a *making) prepare() (theirs int, err error) {
	if a.said, err = unix.MemfdCreate("said", unix.MFD_CLOEXEC); err != nil {
		return -1, fmt.Errorf("bridge: make a file for what is said: %w", err)
	}
	if a.super, theirs, err = socketpair(); err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(a.super, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return -1, fmt.Errorf("bridge: ask for the credentials of the sandbox's process: %w", err)
	}
	where := startDirectory()
	if err := errors.Join(sendPacket(a.super, a.params), sendFDs(a.super, message{Directory: &where})); err != nil {
		return -1, fmt.Errorf("bridge: tell the sandbox's process what to do: %w", err)
	}
	return theirs, nil
}

func (a *making) isEntered() bool {
	select {
	case <-a.entered:
		return true
	default:
		return false
	}
}

// attend passes signals on until the sandbox's first process has ended, and then sees
// to it that what started it does not stay.
func (a *making) attend() {
	met := a.meet()
	close(a.settled)
	if !met {
		return // the sandbox has ended, or will
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		if a.pidfd >= 0 {
			awaitEvent(a.pidfd, unix.POLLIN)
		} else {
			awaitHangup(a.super)
		}
	}()
	for {
		select {
		case s := <-a.signals:
			if sig, ok := s.(unix.Signal); ok {
				a.signal(sig)
			}
		case <-over:
			<-time.After(stayDelay) // usually, this process has ended by then
			a.end()
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
func (a *making) meet() bool {
	late := time.AfterFunc(enterTimeout, a.end)
	m, _, err := a.hear()
	late.Stop()
	if err != nil || !m.Entered {
		return false
	}
	close(a.entered)
	releaseStdio()
	m, cred, err := a.hear()
	if err != nil || !m.Ready || cred.Pid <= 0 {
		return false
	}
	// It waits for the answer, so the id is still its own.
	a.pid = int(cred.Pid)
	if a.pidfd, err = unix.PidfdOpen(a.pid, 0); err != nil {
		a.pidfd = -1 // a kernel before 5.3
	}
	close(a.met)
	return sendFDs(a.super, message{Ready: true}) == nil
}

// hear receives a message of the process inside, and who the kernel says that is.
func (a *making) hear() (m message, cred *unix.Ucred, err error) {
	b, oob := make([]byte, maxAnswer), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	var n, oobn int
	err = unix.EINTR
	for errors.Is(err, unix.EINTR) {
		n, oobn, _, _, err = unix.Recvmsg(a.super, b, oob, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil || n == 0 {
		return m, nil, errors.Join(err, io.EOF)
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(cmsgs) != 1 {
		return m, nil, errors.Join(err, io.EOF)
	}
	if cred, err = unix.ParseUnixCredentials(&cmsgs[0]); err != nil {
		return m, nil, err
	}
	return m, cred, json.Unmarshal(b[:n], &m)
}

// signal sends s to the process that introduced itself, which knows best what it
// means. An error means that it has just ended.
func (a *making) signal(s unix.Signal) {
	if a.pidfd >= 0 {
		// It is not our child: its id may be another's by now, its descriptor never is.
		_ = unix.PidfdSendSignal(a.pidfd, s, nil, 0)
		return
	}
	_ = unix.Kill(a.pid, s)
}

// status is what to end with when the sandbox has, and everything in it: what
// failed before the command could start is ExitFailed, whoever failed. If the sandbox was not even
// entered it is what was said of that.
func (a *making) status(ws unix.WaitStatus) error {
	reapAll()
	<-a.settled // nobody is left to say anything
	defer unix.Close(a.super)
	defer unix.Close(a.said)
	select {
	case <-a.met:
		return exited(ws)
	default:
	}
	switch {
	case ws.Signaled() && (a.isEntered() || a.isOver()):
		return exited(ws)
	case a.isEntered():
		return &exitError{status: ExitFailed} // whoever failed has said why
	}
	return a.complaint(ws)
}

// complaint is what was said before the sandbox was entered, and how what said it ended.
func (a *making) complaint(ws unix.WaitStatus) error {
	ended := fmt.Errorf("exit status %d", ws.ExitStatus())
	if ws.Signaled() {
		ended = fmt.Errorf("signal: %v", ws.Signal())
	}
	text := make([]byte, maxComplaint)
	n, err := unix.Pread(a.said, text, 0)
	if err != nil || n == 0 {
		return ended
	}
	return spoken(string(text[:n]), ended)
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
