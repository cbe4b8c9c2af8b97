// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

func (s Session) run(cmd *exec.Cmd) (int, error) {
	var t *terminal
	if s.Terminal {
		var err error
		if t, err = openTerminal(s); err != nil {
			return ExitFailed, err
		}
	}
	connect(cmd, s, t)
	if err := t.raw(); err != nil {
		t.abandon()
		return ExitFailed, err
	}
	defer t.restore()
	if err := cmd.Start(); err != nil {
		t.abandon()
		return ExitFailed, fmt.Errorf("bridge: start the sandbox: %w", err)
	}
	t.pump()
	over := make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() { s.passSignals(cmd, t, over) })
	err := cmd.Wait()
	close(over)
	passing.Wait()
	t.drain()
	return waitStatus(cmd, err)
}

// connect gives cmd the session's standard files, or the pty in place of
// those that are terminals.
func connect(cmd *exec.Cmd, s Session, t *terminal) {
	through := func(f *os.File) *os.File {
		if t != nil && f != nil && isTerminal(f) {
			return t.far
		}
		return f
	}
	// A nil *os.File in an interface is not nil.
	if f := through(s.Stdin); f != nil {
		cmd.Stdin = f
	}
	if f := through(s.Stdout); f != nil {
		cmd.Stdout = f
	}
	if f := through(s.Stderr); f != nil {
		cmd.Stderr = f
	}
}

// waitStatus turns what Wait says into an exit status for os.Exit.
func waitStatus(cmd *exec.Cmd, err error) (int, error) {
	if cmd.ProcessState == nil {
		return ExitFailed, fmt.Errorf("bridge: wait for the sandbox: %w", err)
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil // the supervisor itself, and with it the rest
	}
	return cmd.ProcessState.ExitCode(), nil
}

// passSignals passes the session's signals on until over. They wait in the channel until
// there is somebody to take them.
func (s Session) passSignals(cmd *exec.Cmd, t *terminal, over <-chan struct{}) {
	awaitSupervisor(cmd, over)
	for {
		select {
		case <-over:
			return
		case sig, ok := <-s.Signals:
			if !ok {
				return
			}
			switch sig {
			case unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE:
				continue
			case unix.SIGWINCH:
				if t != nil {
					t.resize() // which signals those who use the pty
					continue
				}
			case unix.SIGTSTP:
				s.stop(cmd, t)
				continue
			}
			_ = cmd.Process.Signal(sig) // an error means that it has just ended
		}
	}
}

// stop stops the command, and then this process, as its shell expects. When
// the shell has it go on, so does the command.
func (s Session) stop(cmd *exec.Cmd, t *terminal) {
	_ = cmd.Process.Signal(unix.SIGTSTP)
	t.restore()
	stopSelf()
	_ = t.raw()
	t.resize()
	_ = cmd.Process.Signal(unix.SIGCONT)
}

// stopSelf stops this process and returns when it goes on. The signal is sent
// to the calling thread: sent to the process it may be another thread that
// takes it, and this one would go on, and wake the command, before the stop.
func stopSelf() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP)
}
