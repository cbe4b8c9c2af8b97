// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"math"
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"
)

// closeInheritedOnExec keeps descriptors that sallyport was started with, other
// than the standard three, from the sandboxed command: an open socket or
// directory in there would be a way out. They stay open in this process, so
// --policy /dev/fd/63 works.
func closeInheritedOnExec() {
	if unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	entries, err := os.ReadDir("/proc/self/fd") // Linux before 5.11
	if err != nil {
		return // no /proc: bridge cannot make a sandbox either, and says so
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// isTerminal reports whether f is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// ignoreBrokenPipes lets a write to a standard stream that nobody reads any
// more fail instead of ending the process before it has cleaned up. A
// handler, unlike SIG_IGN, is not inherited by the command.
func ignoreBrokenPipes() { signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE) }

// runSupported is nil where run works.
func runSupported() error { return nil }
