// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll && race

package relay

import "syscall"

// Package syscall's functions tell the race detector that a write happens before the
// read of it. It would see races where there are none, otherwise.

func read(fd int, b []byte) (int, error)  { return syscall.Read(fd, b) }
func write(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
