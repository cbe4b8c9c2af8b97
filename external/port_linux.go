// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holdFree binds a free port of 127.0.0.1 and does not listen on it. The port is
// from outside the range that the kernel picks from for connections and for
// listeners on port 0, where that leaves any, so that only a program which asks for
// this very number could want it.
func holdFree() (port int, give func(), err error) {
	for _, port := range unusualPorts() {
		if give, err := bindLoopback(port, true); err == nil && freeOnIPv6(port) {
			return port, give, nil
		} else if err == nil {
			give()
		}
	}
	fd, err := boundSocket(0, true)
	if err != nil {
		return 0, nil, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return 0, nil, os.NewSyscallError("getsockname", err)
	}
	return name.(*unix.SockaddrInet4).Port, func() { unix.Close(fd) }, nil
}

// holdFixed holds a port that was asked for. It cannot where that needs rights
// which only the child may have.
func holdFixed(port int) (give func()) {
	give, err := bindLoopback(port, false)
	if err != nil {
		return nil
	}
	return give
}

func bindLoopback(port int, exclusive bool) (give func(), err error) {
	fd, err := boundSocket(port, exclusive)
	if err != nil {
		return nil, err
	}
	return func() { unix.Close(fd) }, nil
}

// boundSocket returns a socket bound to port of 127.0.0.1. SO_REUSEADDR lets a
// child that sets it too bind the same port and listen, which one socket alone can
// do. An exclusive bind comes first and the option afterwards: else two of these
// sockets could share a port. Connections of an earlier proxy that still linger
// are in its way, so a fixed port is not bound like that.
func boundSocket(port int, exclusive bool) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if !exclusive {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil && exclusive {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

// freeOnIPv6 reports whether port of ::1 can be bound, or there is no ::1.
func freeOnIPv6(port int) bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	return unix.Bind(fd, &unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}) != unix.EADDRINUSE
}

// unusualPorts returns some ports to try, in random order: from above the range of
// ephemeral ports, then from below it, where more programs have theirs.
func unusualPorts() []int {
	const tries, registered = 32, 1024
	first, last := portRange("/proc/sys/net/ipv4/ip_local_port_range")
	if first == 0 {
		return nil
	}
	kept := reservedPorts()
	var ports []int
	for _, r := range [][2]int{{last + 1, 65536}, {registered, first}} {
		for range tries {
			if r[0] >= r[1] {
				break
			}
			if port := r[0] + rand.IntN(r[1]-r[0]); !kept(port) {
				ports = append(ports, port)
			}
		}
	}
	return ports
}

// portRange reads two ports, or gives 0 and 0.
func portRange(path string) (first, last int) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) != 2 {
		return 0, 0
	}
	first, err1 := strconv.Atoi(fields[0])
	last, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil || first < 1 || last < first || last > 65535 {
		return 0, 0
	}
	return first, last
}

// reservedPorts tells which ports the administrator keeps for somebody
// (ip_local_reserved_ports: "8080,9148-9150").
func reservedPorts() func(port int) bool {
	raw, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	var kept [][2]int
	for part := range strings.SplitSeq(strings.TrimSpace(string(raw)), ",") {
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 == nil && err2 == nil {
			kept = append(kept, [2]int{first, last})
		}
	}
	return func(port int) bool {
		for _, r := range kept {
			if r[0] <= port && port <= r[1] {
				return true
			}
		}
		return false
	}
}
