// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a tunnel never wait, but on loopback the kernel delivers what is
// sent within the call, and that takes as long as Go's monitor gives a call before it
// passes the processor on to another thread. Two threads then wake each other for
// nothing, and the monitor itself never rests. So these calls do not tell the scheduler.
// Whatever might wait must not be among them: it would hold up the whole process. Read
// and write say so to the kernel themselves, for others can make a socket blocking.

// shutWrite ends the outgoing stream.
func shutWrite(fd int) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return failure(errno)
}

// setInt sets an option of a socket.
func setInt(fd, level, name, value int) error {
	v := int32(value)
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
	return failure(errno)
}

// closeSocket closes a socket.
func closeSocket(fd int, lingers bool) {
	if lingers {
		unix.Close(fd)
		return
	}
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// look asks an epoll instance what has happened, without waiting.
func look(fd int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// connector connects sockets to one address.
type connector struct {
	family int
	in4    unix.RawSockaddrInet4
	in6    unix.RawSockaddrInet6
}

func (c *connector) set(to netip.AddrPort) {
	port := [2]byte{byte(to.Port() >> 8), byte(to.Port())} // the network's order
	if a := to.Addr().Unmap(); a.Is4() {
		c.family = unix.AF_INET
		c.in4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: a.As4()}
		return
	}
	c.family = unix.AF_INET6
	c.in6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: to.Addr().As16()}
}

// connect begins a connection, or asks how far it is.
func (c *connector) connect(fd int) error {
	at, size := unsafe.Pointer(&c.in4), unsafe.Sizeof(c.in4)
	if c.family == unix.AF_INET6 {
		at, size = unsafe.Pointer(&c.in6), unsafe.Sizeof(c.in6)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(at), size)
	return failure(errno)
}

// failure is nil for no error.
func failure(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
