// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package relay

import "golang.org/x/sys/unix"

// pipe does not exist where there is no splice; getPipe never gives one.
type pipe struct{}

func getPipe() *pipe { return nil }

func putPipe(*pipe, bool) {}

func (*pipe) fill(int) (int, error) { return 0, unix.ENOSYS }

func (*pipe) drain(int, int) (int, error) { return 0, unix.ENOSYS }
