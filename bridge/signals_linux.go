// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// passedOn are the signals that reach the command. SIGTSTP arrives as SIGSTOP:
// the command's process group is an orphaned one, and the kernel
// does not stop those for SIGTSTP.
var passedOn = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
	unix.SIGALRM, unix.SIGVTALRM, unix.SIGIO, unix.SIGPWR, unix.SIGWINCH, unix.SIGCONT, unix.SIGTSTP,
}

func forwardedSignals() []os.Signal {
	return []os.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2,
		unix.SIGWINCH, unix.SIGCONT, unix.SIGTSTP,
	}
}

// catchSignals has the signals to be passed on delivered to a channel; caught is closed when they
// are. That takes the runtime some time, signal for signal, in which there is other work. One that
// was ignored from the start (nohup) stays so, for the command as well.
func catchSignals() (signals <-chan os.Signal, caught <-chan struct{}) {
	c, done := make(chan os.Signal, 64), make(chan struct{})
	go func() {
		defer close(done)
		for _, s := range passedOn {
			if !signal.Ignored(s) {
				signal.Notify(c, s)
			}
		}
	}()
	return c, done
}

// deliver sends s on to the command pid. What a terminal sends to a whole process group
// goes to the command's group, so that Ctrl-C ends "sh -c 'a | b'" here, too;
// what is meant for one process goes to the command alone.
func deliver(s os.Signal, pid int) {
	sig, ok := s.(unix.Signal)
	if !ok {
		return
	}
	switch sig {
	case unix.SIGTSTP:
		pid, sig = -pid, unix.SIGSTOP
	case unix.SIGINT, unix.SIGQUIT, unix.SIGWINCH, unix.SIGCONT:
		pid = -pid
	}
	_ = unix.Kill(pid, sig) // an error means that the command has just ended
}
