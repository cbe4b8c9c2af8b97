// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package quit makes SIGQUIT end this process as it ends others, with the status
// 131 and nothing on standard error. The Go runtime would print the stacks of all
// goroutines and end with 2, which is the status of a command line that is not valid.
package quit

import (
	"os"
	"os/signal"
	"syscall"
)

// status is 128 and the number of the signal, as a shell gives it.
const status = 128 + int(syscall.SIGQUIT)

var caught = make(chan os.Signal, 1)

// Arm lets SIGQUIT end the process at once, unless it was ignored when the process was
// started. It is for the time in which there is nothing to clean up. It is idempotent.
func Arm() {
	if signal.Ignored(syscall.SIGQUIT) {
		return
	}
	signal.Notify(caught, syscall.SIGQUIT)
	go func() {
		if _, ok := <-caught; ok {
			os.Exit(status)
		}
	}()
}

// Release gives SIGQUIT back to whoever else has asked for it. One that came
// before ends the process still.
func Release() {
	signal.Stop(caught)
	select {
	case <-caught:
		os.Exit(status)
	default:
	}
}
