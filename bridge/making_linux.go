// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

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
