// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// sharedSocket is a socket of which a sandbox may have kept a copy. Through it a
// hostile one can make the socket blocking, and then whoever works on it here is
// stuck in the kernel and Close waits for him. So closing also shuts the socket
// down, which nobody can be stuck on.
type sharedSocket struct{ io.Closer }

// Close shuts the socket down and closes it.
func (s sharedSocket) Close() error {
	if c, ok := s.Closer.(syscall.Conn); ok {
		shutDown(c)
	}
	return s.Closer.Close()
}

// sharedListener is the same for a listener.
type sharedListener struct{ net.Listener }

// Close shuts the listener down and closes it.
func (l sharedListener) Close() error { return sharedSocket{l.Listener}.Close() }

// SyscallConn is that of the listener itself.
func (l sharedListener) SyscallConn() (syscall.RawConn, error) {
	if c, ok := l.Listener.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, fmt.Errorf("proxycore: this listener has no socket: %w", errors.ErrUnsupported)
}
