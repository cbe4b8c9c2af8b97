// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// doors are the ways out that are no IP network. Address is the path of a socket unless another meaning is given.
var doors = map[string]func(Action) Result{
	"path":      tryPath,     // connects to a unix socket, Network says of which kind, and sends Text
	"path-send": tryPathSend, // sends Text in a datagram without connecting
	"path-pair": tryPathPair, // sends it from one end of a socket pair
	"pair":      tryPair,     // sends through a socket pair of the kind that Network says
	"ring":      tryRing,     // what path does, by io_uring
	"foreign":   tryForeign,  // what path does, by the system calls of Network: i386, x32
	"family":    tryFamily,   // makes a socket of the family with number Address
	"netlink":   tryNetlink,  // makes a netlink socket for protocol number Address
	"links":     tryLinks,    // lists network interfaces and their addresses
	"key":       tryKey,      // reads the key with description Address, which holds Text
	"kernel":    tryKernel,   // opens the interface of the kernel that is called Address
	"type":      tryType,     // types Text into the terminal that is standard input, or controls the process
	"signal":    trySignal,   // sends SIGWINCH to process Address
	"memory":    tryMemory,   // reads Text out of process PID at Address "PID ADDRESS", and overwrites it
	"trace":     tryTrace,    // the same with ptrace, without writing
	"page":      tryPage,     // asks the proxy of the environment for the page Address
	"dial-unix": tryDialUnix, // connects to a unix socket by any name, also an abstract one
}

func tryDoor(a Action) Result {
	if f, ok := doors[a.Do]; ok {
		return f(a)
	}
	return Result{Detail: "unknown action"}
}

// kinds of unix sockets, by the names of package net.
var kinds = map[string]int{"unix": unix.SOCK_STREAM, "unixpacket": unix.SOCK_SEQPACKET, "unixgram": unix.SOCK_DGRAM}

// sight says whether the file of a socket can be seen, for people.
func sight(path string) string {
	if _, err := os.Lstat(path); err != nil {
		return "its file is not in sight"
	}
	return "its file is in sight"
}

func refused(a Action, err error) Result {
	return Result{Detail: fmt.Sprintf("%v; %s", err, sight(a.Address))}
}

func tryPath(a Action) Result {
	fd, err := unix.Socket(unix.AF_UNIX, kinds[a.Network]|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return refused(a, err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: a.Address}); err != nil {
		return refused(a, err)
	}
	if _, err := unix.Write(fd, []byte(a.Text)); err != nil {
		return refused(a, err)
	}
	return Result{Done: true, Detail: "connected"}
}

func tryPathSend(a Action) Result {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return refused(a, err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, []byte(a.Text), 0, &unix.SockaddrUnix{Name: a.Address}); err != nil {
		return refused(a, err)
	}
	return Result{Done: true, Detail: "sent"}
}

// tryPathPair: the ends of a pair are connected, and the address of a datagram goes before that.
func tryPathPair(a Action) Result {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return refused(a, err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if err := unix.Sendto(fds[0], []byte(a.Text), 0, &unix.SockaddrUnix{Name: a.Address}); err != nil {
		return refused(a, err)
	}
	return Result{Done: true, Detail: "sent"}
}

func tryPair(a Action) Result {
	fds, err := unix.Socketpair(unix.AF_UNIX, kinds[a.Network]|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if _, err := unix.Write(fds[0], []byte(a.Text)); err != nil {
		return failed(err)
	}
	buf := make([]byte, len(a.Text)+1)
	n, err := unix.Read(fds[1], buf)
	if err != nil {
		return failed(err)
	}
	return Result{Done: string(buf[:n]) == a.Text, Detail: fmt.Sprintf("%q came through", buf[:n])}
}

func tryDialUnix(a Action) Result {
	c, err := net.Dial(a.Network, a.Address)
	if err != nil {
		return failed(err)
	}
	defer c.Close()
	_, err = c.Write([]byte(a.Text))
	return Result{Done: err == nil, Detail: fmt.Sprint("connected ", err)}
}

func tryFamily(a Action) Result {
	family, err := strconv.Atoi(a.Address)
	if err != nil {
		return failed(err)
	}
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET, unix.SOCK_RAW} {
		var fd int
		if fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0); err == nil {
			unix.Close(fd)
			return Result{Done: true, Detail: "a socket could be made"}
		}
	}
	return failed(err)
}

func tryNetlink(a Action) Result {
	protocol, err := strconv.Atoi(a.Address)
	if err != nil {
		return failed(err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return failed(err)
	}
	unix.Close(fd)
	return Result{Done: true, Detail: "a socket could be made"}
}

func tryLinks(Action) Result {
	links, err := net.Interfaces()
	if err != nil {
		return failed(err)
	}
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			return failed(err)
		}
		if l.Flags&net.FlagLoopback != 0 {
			return Result{Done: true, Detail: fmt.Sprint(l.Name, " ", addrs)}
		}
	}
	return Result{Detail: "no loopback interface among " + strconv.Itoa(len(links))}
}

// tryUnshare makes a further user namespace, in which a program has every capability again, and tries
// from there: it may be possible to make one, but it leads nowhere.
func tryUnshare(a Action) Result {
	inner := a
	if inner.Do = a.Inner; inner.Do == "" {
		inner.Do = "dial"
	}
	out, err := inChild([]Action{inner}, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	})
	if err != nil {
		return failed(err)
	}
	return out[0]
}

// opened closes what a system call has opened.
func opened(fd uintptr, errno syscall.Errno) Result {
	if errno != 0 {
		return failed(errno)
	}
	unix.Close(int(fd))
	return Result{Done: true, Detail: "it could be opened"}
}

// tryKernel opens interfaces of the kernel as any user may where nothing forbids it.
func tryKernel(a Action) Result {
	switch a.Address {
	case "io_uring":
		var params [120]byte
		fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
		return opened(fd, errno)
	case "userfaultfd":
		const userModeOnly = 1
		fd, _, errno := syscall.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|userModeOnly, 0, 0)
		return opened(fd, errno)
	case "perf_event_open":
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_TASK_CLOCK,
			Bits: unix.PerfBitDisabled | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv}
		attr.Size = uint32(unsafe.Sizeof(attr))
		fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			return failed(err)
		}
		unix.Close(fd)
		return Result{Done: true, Detail: "it could be opened"}
	case "bpf":
		// BPF_MAP_CREATE of an array with one value of 4 bytes.
		attr := [4]uint32{unix.BPF_MAP_TYPE_ARRAY, 4, 4, 1}
		fd, _, errno := syscall.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		return opened(fd, errno)
	}
	return failed(errors.New("no such interface"))
}
