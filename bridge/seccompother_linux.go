// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !amd64 && !arm64

package bridge

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/net/bpf"
)

// filterProgram has no table of system calls for this architecture. Some have
// socketcall(2), whose arguments a filter cannot see.
func filterProgram(func(Door) bool) ([]bpf.Instruction, error) {
	return nil, fmt.Errorf("bridge: there is no system call filter for %s, only for amd64 and arm64: %w", runtime.GOARCH, errors.ErrUnsupported)
}
