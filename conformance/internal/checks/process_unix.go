// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package checks

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func signalOf(err *exec.ExitError) int {
	if ws, ok := err.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return int(ws.Signal())
	}
	return 0
}

// leakDescriptor opens a pipe that children inherit, at its lowest numbers and at one so high that there is a gap
// below it: a launcher that closes or marks descriptors from below up to the first gap has forgotten that one.
func leakDescriptor() (func(), error) {
	var p [2]int
	if err := syscall.Pipe(p[:]); err != nil {
		return nil, err
	}
	const high = 200
	third, err := unix.FcntlInt(uintptr(p[0]), unix.F_DUPFD, high)
	if err != nil {
		return nil, errors.Join(err, syscall.Close(p[0]), syscall.Close(p[1]))
	}
	return func() {
		syscall.Close(p[0])
		syscall.Close(p[1])
		syscall.Close(third)
	}, nil
}
