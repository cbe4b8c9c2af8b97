// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// inForeignNamespace reports whether l was made in another network namespace
// than this process's, as a sandbox's listener that was handed over is: its
// 127.0.0.1 is not ours. When the kernel cannot tell, the answer is no, which
// refuses more.
func inForeignNamespace(l net.Listener) bool {
	c, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var theirs uint64
	controlErr := raw.Control(func(fd uintptr) {
		theirs, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	})
	if controlErr != nil || err != nil {
		return false
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	ours, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return err == nil && ours != theirs
}
