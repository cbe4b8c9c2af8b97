// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// shutDown wakes everybody who waits on a socket, in whatever mode it is.
func shutDown(c syscall.Conn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	// A UDP socket gives ENOTCONN, and wakes them all the same.
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}
