// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !cgo

package bridge

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropsInAllThreads says that the runtime knows all threads of this process.
const dropsInAllThreads = true

// dropInAllThreads takes every capability from every thread of this process, and sets
// no_new_privs. This thread has been through dropPrivileges. Bounding sets it leaves: a thread without capabilities that can get no new ones has no use for
// them, and to empty them takes a stop of all threads for each.
func dropInAllThreads() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData // which empties the ambient set as well
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&none[0])), 0)
	if e != 0 {
		return fmt.Errorf("bridge: drop the capabilities of all threads: %w", e)
	}
	_, _, e = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if e != 0 {
		return fmt.Errorf("bridge: set no_new_privs for all threads: %w", e)
	}
	return nil
}
