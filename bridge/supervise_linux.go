// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"errors"
	"fmt"
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
	enterTimeout = 30 * time.Second
	// maxAnswer bounds what the process inside and its supervisor say to each other once that has been told
	// what to do, and maxComplaint what is passed on of the words of a way that failed, in bytes.
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
	return noWay(missing(c.params, ways, failed))
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

// killer returns a function that kills the child pid, and never another process that
// has its id later.
func killer(pid int) func() {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil { // a kernel before 5.3
		return func() { _ = unix.Kill(pid, unix.SIGKILL) }
	}
	return func() { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }
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
