// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/bridge"
)

// runDirect runs the command without a sandbox, for --sandbox none, and
// returns its exit status. The command shares the terminal and the process group, so
// job control works as for any other command.
func runDirect(s Streams, env []string, sigs *signals, command []string) int {
	// Pdeathsig fires when the thread that started the child ends, so that
	// thread must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	path, err := exec.LookPath(command[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		complain(s.Stderr, reason(command[0], err))
		return statusOf(err)
	}
	forward, ok := sigs.forward()
	if !ok {
		return sigs.failure(s, context.Canceled)
	}
	cmd := &exec.Cmd{
		Path: path, Args: command, Env: env,
		Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
	}
	if err := cmd.Start(); err != nil {
		complain(s.Stderr, reason(command[0], err))
		return statusOf(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		passOn(cmd.Process, forward, stop)
	}()
	err = cmd.Wait()
	close(stop)
	<-stopped
	if cmd.ProcessState == nil {
		complain(s.Stderr, fmt.Errorf("waiting for %s: %w", command[0], err))
		return bridge.ExitFailed
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// passOn sends signals on to the command until stop. A signal that the terminal
// sends goes to the whole process group, which the command is in, so passing it
// on would deliver it twice.
func passOn(p *os.Process, forward <-chan os.Signal, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case sig := <-forward:
			if fromTerminal(sig) && inForeground() {
				continue
			}
			_ = p.Signal(sig) // an error means that the command has just ended
		}
	}
}

// fromTerminal reports whether sig is one that a terminal sends.
func fromTerminal(sig os.Signal) bool {
	return sig == unix.SIGINT || sig == unix.SIGQUIT || sig == unix.SIGWINCH
}

// leftToTerminal reports whether sig is not caught at all while the command
// runs without a sandbox: Ctrl-Z then stops both, and fg continues both.
func leftToTerminal(sig os.Signal) bool {
	return sig == unix.SIGTSTP || sig == unix.SIGCONT
}

// inForeground reports whether this process group has a terminal and is in its
// foreground.
func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	return bridge.WantsTerminal(tty)
}

// statusOf tells a command that is not there from one that cannot be run, as
// env(1) does.
func statusOf(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return bridge.ExitNotFound
	}
	return bridge.ExitCannotRun
}

// reason words an error of starting a command.
func reason(name string, err error) error {
	var inner *exec.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s: command not found", name)
	}
	return fmt.Errorf("%s: cannot be run: %w", name, err)
}
