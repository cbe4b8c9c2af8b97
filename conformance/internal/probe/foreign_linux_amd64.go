// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// int80 makes a system call by the entry for programs of 32 bits, which every program of 64 bits may use. Addresses
// have 32 bits there.
func int80(number, a, b, c uintptr) uintptr

// x32 marks system calls of the ABI with 64-bit registers and 32-bit pointers.
const x32 = 0x40000000

// foreign is an ABI besides the one of this program: its system calls, and where its addresses may be.
type foreign struct {
	socket, connect, write uintptr
	call                   func(number, a, b, c uintptr) uintptr
}

func x32Call(number, a, b, c uintptr) uintptr {
	r, _, errno := syscall.RawSyscall(number|x32, a, b, c)
	if errno != 0 {
		return -uintptr(errno)
	}
	return r
}

// foreigners are the ABIs of an amd64 kernel that are not its own.
var foreigners = map[string]foreign{
	"i386": {socket: 359, connect: 362, write: 4, call: int80},
	"x32":  {socket: unix.SYS_SOCKET, connect: unix.SYS_CONNECT, write: unix.SYS_WRITE, call: x32Call},
}

func tryForeign(a Action) Result {
	abi, ok := foreigners[a.Network]
	if !ok {
		return Result{Detail: "no such ABI"}
	}
	low, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_32BIT)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = unix.Munmap(low) }()
	base := uintptr(unsafe.Pointer(&low[0]))
	to, length := unixAddress(a.Address)
	copy(low, unsafe.Slice((*byte)(unsafe.Pointer(to)), length))
	const textAt = 1024
	text := copy(low[textAt:], a.Text)

	fd := abi.call(abi.socket, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if errno := foreignErrno(fd); errno != 0 {
		return failed(fmt.Errorf("socket: %w", errno))
	}
	defer unix.Close(int(fd))
	if errno := foreignErrno(abi.call(abi.connect, fd, base, uintptr(length))); errno != 0 {
		return refused(a, fmt.Errorf("connect: %w", errno))
	}
	if errno := foreignErrno(abi.call(abi.write, fd, base+textAt, uintptr(text))); errno != 0 {
		return refused(a, fmt.Errorf("write: %w", errno))
	}
	return Result{Done: true, Detail: "connected"}
}

// foreignErrno is the error in a result of 32 or 64 bits.
func foreignErrno(result uintptr) syscall.Errno {
	if n := int32(uint32(result)); n < 0 && n > -4096 {
		return syscall.Errno(-n)
	}
	return 0
}
