// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keepAlive is what package net sets on every connection: probes after 15 s
// without a byte, every 15 s, and the end after nine.
var keepAlive = [...][3]int{
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

// noDelay has few bytes sent at once, as package net does, too.
var noDelay = [3]int{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}

func setKeepAlive(fd int) {
	for _, o := range keepAlive {
		setInt(fd, o[0], o[1], o[2]) // nothing is lost where one is not known
	}
}

// addrPort gives the address in sa. Package unix would ask the kernel, for each
// connection, which protocol the listener speaks.
func addrPort(sa syscall.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// dial is Dial.
func dial(ctx context.Context, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
	if to.Addr().Zone() != "" {
		d := net.Dialer{Timeout: limit}
		return d.DialContext(ctx, "tcp", to.String())
	}
	c, err := connect(to, nil)
	if err != nil {
		return nil, dialError(to, err)
	}
	return finish(ctx, c, limit)
}

// begin is Begin.
func begin(to netip.AddrPort, near net.Conn) (c net.Conn, done bool, err error) {
	if to.Addr().Zone() != "" {
		return nil, false, nil
	}
	var l *loop
	if near, ok := near.(*sock); ok {
		l = near.l
	}
	s, err := connect(to, l)
	if err != nil {
		return nil, true, dialError(to, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, !s.waits, nil
}

// finish is Finish.
func finish(ctx context.Context, c net.Conn, limit time.Duration) (net.Conn, error) {
	s := c.(*sock)
	if err := s.connected(ctx, limit); err != nil {
		s.Close()
		return nil, dialError(s.remote, err)
	}
	return s, nil
}

// dialError wraps an error as package net does.
func dialError(to netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// connect begins a connection.
func connect(to netip.AddrPort, near *loop) (*sock, error) {
	var at connector
	at.set(to)
	fd, err := unix.Socket(at.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	setInt(fd, noDelay[0], noDelay[1], noDelay[2])
	err = at.connect(fd)
	if err == unix.EINPROGRESS {
		// Near by, it is done when the call returns, and only has to be asked for.
		err = at.connect(fd)
	}
	if err == nil && isSelf(fd, to) {
		err = unix.ECONNREFUSED
	}
	switch err {
	case nil, unix.EALREADY, unix.EINTR:
		c, err := newSock(fd, to, near, false, err != nil)
		if err == nil {
			c.l.keepLater(fd)
		}
		return c, err
	}
	unix.Close(fd)
	return nil, os.NewSyscallError("connect", err)
}

// connected waits until the connection is made.
func (c *sock) connected(ctx context.Context, limit time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waits {
		return nil // it was made at once, so the loop was not asked to say when
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.change.Broadcast()
	})
	defer stop()
	var at connector
	at.set(c.remote)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.blocked {
			c.change.Wait()
			continue
		}
		// What the loop has heard may have been meant for a connection that had the
		// descriptor before, so the kernel has the word: asked again, it says how it went.
		switch err := at.connect(c.fd); err {
		case unix.EALREADY, unix.EINTR:
			c.blocked = true
		case nil, unix.EISCONN:
			if isSelf(c.fd, c.remote) {
				return os.NewSyscallError("connect", unix.ECONNREFUSED)
			}
			return nil
		default:
			return os.NewSyscallError("connect", err)
		}
	}
}

// isSelf reports whether a connection was made to itself, which TCP allows: where nobody
// listens on a port that the kernel has just chosen for the near end.
// Package net looks, too.
func isSelf(fd int, to netip.AddrPort) bool {
	near, err := nearEnd(fd)
	return err == nil && near.Port() == to.Port() &&
		(near.Addr().Unmap() == to.Addr().Unmap() || to.Addr().Unmap().IsUnspecified())
}
