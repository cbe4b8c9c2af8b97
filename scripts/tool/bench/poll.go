// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The load comes from loops of one thread over raw system calls. Go's own network poller would cost the generator more
// than the proxies cost, and on few cores it is the generator that would be measured.

// poller is an epoll instance and what to do for each descriptor in it.
type poller struct {
	fd     int
	socks  map[int]*sock
	events []unix.EpollEvent
}

// sock is one connection of the generator.
type sock struct {
	fd      int
	ready   func(s *sock, events uint32)
	want    uint32
	state   int
	n       int   // bytes of the current state
	started int64 // nanoseconds
	op      byte  // what the origin was asked to do
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("bench: epoll: %w", err)
	}
	return &poller{fd: fd, socks: map[int]*sock{}, events: make([]unix.EpollEvent, 256)}, nil
}

// add watches s for events.
func (p *poller) add(s *sock, events uint32) error {
	s.want = events
	p.socks[s.fd] = s
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: events, Fd: int32(s.fd)})
}

// want changes what s is watched for.
func (p *poller) want(s *sock, events uint32) {
	if s.want != events {
		s.want = events
		unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, s.fd, &unix.EpollEvent{Events: events, Fd: int32(s.fd)})
	}
}

// drop closes s.
func (p *poller) drop(s *sock) {
	delete(p.socks, s.fd)
	unix.Close(s.fd)
}

// turn waits up to wait milliseconds and serves what is ready.
func (p *poller) turn(wait int) error {
	n, err := unix.EpollWait(p.fd, p.events, wait)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bench: epoll: %w", err)
	}
	for _, e := range p.events[:n] {
		if s := p.socks[int(e.Fd)]; s != nil {
			s.ready(s, e.Events)
		}
	}
	return nil
}

func sockaddr(ap netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
}

// listenTCP listens on 127.0.0.1 and gives the address.
func listenTCP() (fd int, ap netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, ap, fmt.Errorf("bench: socket: %w", err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	if err = unix.Bind(fd, sockaddr(addr)); err == nil {
		err = unix.Listen(fd, 4096)
	}
	if err != nil {
		return -1, ap, fmt.Errorf("bench: listen: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, ap, fmt.Errorf("bench: listen: %w", err)
	}
	return fd, netip.AddrPortFrom(addr.Addr(), uint16(name.(*unix.SockaddrInet4).Port)), nil
}

// connectTCP begins a connection. from is the local address, the kernel's choice when zero.
func connectTCP(to netip.AddrPort, from netip.Addr) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("bench: socket: %w", err)
	}
	if from.IsValid() {
		// The port is then chosen at connect, when the destination is known.
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("bench: bind %s: %w", from, err)
		}
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err = unix.Connect(fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return -1, fmt.Errorf("bench: connect to %s: %w", to, err)
	}
	return fd, nil
}

// discard reads what is there without copying it out of the kernel; over says that the stream has ended.
func discard(fd, most int) (n int, over bool) {
	n, _, errno := recvTrunc(fd, most)
	switch errno {
	case 0:
		return n, n == 0
	case unix.EAGAIN, unix.EINTR:
		return 0, false
	}
	return 0, true
}

func recvTrunc(fd, most int) (int, int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(most), unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, 0, errno
	}
	return int(n), 0, 0
}
