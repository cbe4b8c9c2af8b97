// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// shutDown ends whatever goes on at the socket, for all who have it, and the time
// that closing it may take. again does so once more, also while it is closed; done is to be
// called when it is. Both are nil when there is no descriptor left for that.
func shutDown(c syscall.Conn) (again, done func()) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, nil
	}
	own := -1
	_ = raw.Control(func(fd uintptr) {
		end(int(fd))
		if own, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			own = -1
		}
	})
	if own < 0 {
		return nil, nil
	}
	return func() { end(own) }, func() { end(own); unix.Close(own) }
}

func end(fd int) {
	// A UDP socket gives ENOTCONN, and wakes them all the same.
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	// A sandbox may have made a connection of it.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
}
