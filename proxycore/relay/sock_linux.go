// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sock is a TCP connection that a loop watches from its beginning. A flow takes its
// descriptor as it is: it never was in Go's network poller, so that it need not be
// taken out of it.
type sock struct {
	fd     int
	l      *loop
	remote netip.AddrPort

	mu       sync.Mutex // held by whoever uses the descriptor
	change   sync.Cond  // something below has changed
	readable bool       // as in side
	ending   bool
	blocked  bool
	waits    bool
	closed   bool
	lingers  bool   // closing it may wait
	heir     *side  // what the descriptor belongs to now
	heard    bool   // the loop has said that there is something to read
	awaiting func() // see Await

	readBy, writeBy time.Time
	timer           *time.Timer // wakes those who wait when a deadline passes
}

var (
	_ net.Conn     = (*sock)(nil)
	_ Prompt       = (*sock)(nil)
	_ syscall.Conn = (*sock)(nil)
)

// newSock puts a descriptor into the care of a loop: near, unless that is nil. readable says that it is
// worth while to read at once, connecting that the connection is not made yet.
func newSock(fd int, remote netip.AddrPort, near *loop, readable, connecting bool) (*sock, error) {
	l, err := useLoop(near)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	c := &sock{fd: fd, l: l, remote: remote, readable: readable, blocked: connecting, waits: connecting}
	c.change.L = &c.mu
	if err := l.add(fd, interest(c.waits), c); err != nil {
		unix.Close(fd)
		leaveLoops(1)
		return nil, err
	}
	return c, nil
}

// ready notes what the loop has heard.
func (c *sock) ready(l *loop, events uint32) {
	c.mu.Lock()
	heir := c.heir
	var arrived func()
	if heir == nil {
		c.note(events)
		c.change.Broadcast()
		if c.heard {
			arrived = c.takeAwaiting()
		}
	}
	c.mu.Unlock()
	switch {
	case heir != nil:
		heir.ready(l, events)
	case arrived != nil:
		arrived()
	}
}

// keepAlive implements watched.
func (c *sock) keepAlive() {
	c.mu.Lock()
	heir := c.heir
	if !c.closed {
		setKeepAlive(c.fd)
	}
	c.mu.Unlock()
	if heir != nil {
		heir.keepAlive()
	}
}

// note takes in what epoll said. c.mu is held.
func (c *sock) note(events uint32) {
	if events&^unix.EPOLLOUT != 0 {
		c.readable, c.heard = true, true
	}
	c.ending = c.ending || events&(unix.EPOLLPRI|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	c.blocked = c.blocked && events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0
}

// handOver gives the descriptor to a side of a flow; false means that it is closed.
func (c *sock) handOver(to *side) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	to.fd, to.l, to.waits, to.blocked, to.ending, to.lingers = c.fd, c.l, c.waits, c.blocked, c.ending, c.lingers
	c.closed, c.heir = true, to
	c.l.replace(c.fd, to)
	if c.readable {
		// The loop has said so already, and will not say it again unless it is asked to.
		unix.EpollCtl(c.l.fd, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: interest(c.waits), Fd: int32(c.fd)})
	}
	c.change.Broadcast()
	if c.timer != nil {
		c.timer.Stop()
	}
	return true
}

// wait waits for a change. c.mu is held; by is the deadline.
func (c *sock) wait(by time.Time) error {
	if !by.IsZero() {
		left := time.Until(by)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		if c.timer == nil {
			c.timer = time.AfterFunc(left, c.late)
		} else {
			c.timer.Reset(left)
		}
	}
	c.change.Wait()
	return nil
}

// late wakes those who wait when a deadline passes.
func (c *sock) late() {
	c.mu.Lock()
	c.change.Broadcast()
	arrived := c.takeAwaiting()
	c.mu.Unlock()
	if arrived != nil {
		arrived()
	}
}

// Read implements net.Conn.
func (c *sock) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.failed("read", net.ErrClosed)
		case !c.readBy.IsZero() && !time.Now().Before(c.readBy):
			return 0, c.failed("read", os.ErrDeadlineExceeded)
		case c.readable:
			n, err := read(c.fd, b)
			switch {
			case err == unix.EINTR:
				continue
			case err == nil && n == 0 && len(b) > 0:
				return 0, io.EOF
			case err == nil:
				c.readable = n == len(b) || c.ending
				return n, nil
			case err != unix.EAGAIN:
				return 0, c.failed("read", os.NewSyscallError("read", err))
			}
			c.readable = false
		}
		if err := c.wait(c.readBy); err != nil {
			return 0, c.failed("read", err)
		}
	}
}

// Write implements net.Conn.
func (c *sock) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for done := 0; ; {
		switch {
		case c.closed:
			return done, c.failed("write", net.ErrClosed)
		case !c.writeBy.IsZero() && !time.Now().Before(c.writeBy):
			return done, c.failed("write", os.ErrDeadlineExceeded)
		case !c.blocked:
			n, err := write(c.fd, b[done:])
			done += max(n, 0)
			switch {
			case err == nil && done == len(b):
				return done, nil
			case err == nil, err == unix.EINTR:
				continue
			case err != unix.EAGAIN:
				return done, c.failed("write", os.NewSyscallError("write", err))
			}
			if err := c.block(); err != nil {
				return done, c.failed("write", err)
			}
		}
		if err := c.wait(c.writeBy); err != nil {
			return done, c.failed("write", err)
		}
	}
}

// block has the loop say when the connection takes bytes again. c.mu is held.
func (c *sock) block() error {
	c.blocked = true
	if c.waits {
		return nil
	}
	c.waits = true
	return watchWrites(c.l, c.fd)
}

// failed wraps an error as package net does.
func (c *sock) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(c.remote), Err: err}
}

// Close implements net.Conn.
func (c *sock) Close() error {
	if err := c.close(); err != nil {
		return err
	}
	leaveLoops(1)
	return nil
}

// close is Close without the loops.
func (c *sock) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed("close", net.ErrClosed)
	}
	c.closed = true
	c.l.replace(c.fd, nil)
	closeSocket(c.fd, c.lingers)
	if c.timer != nil {
		c.timer.Stop()
	}
	c.change.Broadcast()
	if arrived := c.takeAwaiting(); arrived != nil {
		go arrived()
	}
	return nil
}

// use calls f with the descriptor.
func (c *sock) use(op string, f func(fd int) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed(op, net.ErrClosed)
	}
	if err := f(c.fd); err != nil {
		return c.failed(op, os.NewSyscallError(op, err))
	}
	return nil
}
