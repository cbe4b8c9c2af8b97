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
// Whatever might wait must not be among them: it would hold up the whole process. So they
// are for sockets that were accepted or made here and that no other process has; and
// read and write, which others of this process may be given, say so to the kernel themselves.

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

// setLinger is as net.TCPConn's.
func setLinger(fd, sec int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(sec)}
	if sec < 0 {
		l = unix.Linger{}
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&l)), unsafe.Sizeof(l), 0)
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
	port := hostOrder(to.Port()) // there and back is the same
	if a := to.Addr().Unmap(); a.Is4() {
		c.family = unix.AF_INET
		c.in4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: a.As4()}
		return
	}
	c.family = unix.AF_INET6
	c.in6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: to.Addr().As16()}
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

// accept takes a connection of a listener that nobody can have made blocking.
func accept(fd int) (c int, peer netip.AddrPort, err error) {
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, peer, errno
	}
	return int(n), rawAddrPort(&sa), nil
}

// nearEnd is the address of the socket itself.
func nearEnd(fd int) (netip.AddrPort, error) {
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	return rawAddrPort(&sa), failure(errno)
}

// rawAddrPort gives the address in sa, if it is one of IP.
func rawAddrPort(sa *unix.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), hostOrder(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr), hostOrder(in.Port))
	}
	return netip.AddrPort{}
}

// hostOrder turns a port around where that must be.
func hostOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// failure is nil for no error.
func failure(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
