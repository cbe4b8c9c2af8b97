// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"net"
	"net/netip"
	"syscall"
	"time"
)

// CloseWrite ends the outgoing stream.
func (c *sock) CloseWrite() error {
	return c.use("shutdown", shutWrite)
}

// SetLinger is as net.TCPConn's.
func (c *sock) SetLinger(sec int) error {
	return c.use("setsockopt", func(fd int) error {
		c.lingers = sec > 0
		return setLinger(fd, sec)
	})
}

// RemoteAddr implements net.Conn.
func (c *sock) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// LocalAddr implements net.Conn.
func (c *sock) LocalAddr() net.Addr {
	var local netip.AddrPort
	c.use("getsockname", func(fd int) error {
		sa, err := syscall.Getsockname(fd)
		local = addrPort(sa)
		return err
	})
	return net.TCPAddrFromAddrPort(local)
}

// SetDeadline implements net.Conn.
func (c *sock) SetDeadline(t time.Time) error { return c.deadline(t, true, true) }

// SetReadDeadline implements net.Conn.
func (c *sock) SetReadDeadline(t time.Time) error { return c.deadline(t, true, false) }

// SetWriteDeadline implements net.Conn.
func (c *sock) SetWriteDeadline(t time.Time) error { return c.deadline(t, false, true) }

func (c *sock) deadline(t time.Time, read, write bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed("set", net.ErrClosed)
	}
	if read {
		c.readBy = t
	}
	if write {
		c.writeBy = t
	}
	c.change.Broadcast()
	return nil
}

// SyscallConn implements syscall.Conn.
func (c *sock) SyscallConn() (syscall.RawConn, error) { return rawSock{c}, nil }

// rawSock gives others the descriptor, for options of it.
type rawSock struct{ c *sock }

// Control implements syscall.RawConn.
func (r rawSock) Control(f func(fd uintptr)) error {
	return r.c.use("control", func(fd int) error { f(uintptr(fd)); return nil })
}

// Read implements syscall.RawConn. Nobody needs it.
func (r rawSock) Read(func(uintptr) bool) error { return syscall.ENOTSUP }

// Write implements syscall.RawConn. Nobody needs it.
func (r rawSock) Write(func(uintptr) bool) error { return syscall.ENOTSUP }
