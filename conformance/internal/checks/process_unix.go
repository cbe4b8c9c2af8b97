// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package checks

import (
	"os/exec"
	"syscall"
)

func signalOf(err *exec.ExitError) int {
	if ws, ok := err.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return int(ws.Signal())
	}
	return 0
}

// leakDescriptor opens a pipe that children inherit.
func leakDescriptor() (func(), error) {
	var p [2]int
	if err := syscall.Pipe(p[:]); err != nil {
		return nil, err
	}
	return func() {
		syscall.Close(p[0])
		syscall.Close(p[1])
	}, nil
}
