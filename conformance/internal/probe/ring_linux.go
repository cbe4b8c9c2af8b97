// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring of one entry, as io_uring_setup(2) describes it. The offsets are of struct io_uring_params.
type ring struct {
	fd     int
	rings  []byte // the submission and the completion ring
	sqe    []byte // the entry
	params [30]uint32
}

// Words of struct io_uring_params.
const (
	ringFeatures = 5
	ringSQ       = 10 // struct io_sqring_offsets: head, tail, mask, entries, flags, dropped, array, …
	ringCQ       = 20 // struct io_cqring_offsets: head, tail, mask, entries, overflow, cqes, …
	singleMap    = 1  // IORING_FEAT_SINGLE_MMAP
	sqeBytes     = 64
	sqesAt       = 0x10000000 // IORING_OFF_SQES
)

// Operations of struct io_uring_sqe.
const (
	opConnect = 16
	opSend    = 26
	opSocket  = 45
)

func newRing() (*ring, error) {
	r := new(ring)
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&r.params)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r.fd = int(fd)
	if r.params[ringFeatures]&singleMap == 0 {
		unix.Close(r.fd)
		return nil, fmt.Errorf("io_uring_setup: a kernel before 5.4")
	}
	const writable, shared = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	var err error
	if r.rings, err = unix.Mmap(r.fd, 0, unix.Getpagesize(), writable, shared); err == nil {
		r.sqe, err = unix.Mmap(r.fd, sqesAt, sqeBytes, writable, shared)
	}
	if err != nil {
		r.close()
		return nil, fmt.Errorf("the rings of io_uring: %w", err)
	}
	return r, nil
}

func (r *ring) close() {
	unix.Close(r.fd)
	for _, m := range [][]byte{r.rings, r.sqe} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
}

func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// do carries one operation out: it returns what the system call of the same name would.
func (r *ring) do(op byte, fd int, addr unsafe.Pointer, length uint32, offset uint64) (int32, error) {
	clear(r.sqe)
	r.sqe[0] = op
	*(*int32)(unsafe.Pointer(&r.sqe[4])) = int32(fd)
	*(*uint64)(unsafe.Pointer(&r.sqe[8])) = offset
	*(*uint64)(unsafe.Pointer(&r.sqe[16])) = uint64(uintptr(addr))
	*(*uint32)(unsafe.Pointer(&r.sqe[24])) = length
	tail := r.word(r.params[ringSQ+1])
	*r.word(r.params[ringSQ+6]) = 0 // the entry that is submitted is the only one
	atomic.AddUint32(tail, 1)
	const getEvents = 1
	if _, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 1, 1, getEvents, 0, 0); errno != 0 {
		return 0, fmt.Errorf("io_uring_enter: %w", errno)
	}
	head := r.word(r.params[ringCQ])
	at := r.params[ringCQ+5] + (*head&*r.word(r.params[ringCQ+2]))*16
	result := int32(*r.word(at + 8))
	atomic.AddUint32(head, 1)
	runtime.KeepAlive(addr)
	if result < 0 {
		return 0, syscall.Errno(-result)
	}
	return result, nil
}

// tryRing makes a socket, connects it and sends without any of the system calls of these names.
func tryRing(a Action) Result {
	r, err := newRing()
	if err != nil {
		return failed(err)
	}
	defer r.close()
	fd, err := r.do(opSocket, unix.AF_UNIX, nil, 0, unix.SOCK_STREAM)
	if err != nil {
		return failed(fmt.Errorf("socket: %w", err))
	}
	defer unix.Close(int(fd))
	to, length := unixAddress(a.Address)
	if _, err := r.do(opConnect, int(fd), unsafe.Pointer(to), 0, uint64(length)); err != nil {
		return refused(a, fmt.Errorf("connect: %w", err))
	}
	text := []byte(a.Text)
	if _, err := r.do(opSend, int(fd), unsafe.Pointer(&text[0]), uint32(len(text)), 0); err != nil {
		return refused(a, fmt.Errorf("send: %w", err))
	}
	return Result{Done: true, Detail: "connected"}
}

// unixAddress is a struct sockaddr_un and its length.
func unixAddress(path string) (*unix.RawSockaddrUnix, int) {
	a := &unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	n := copy(unsafe.Slice((*byte)(unsafe.Pointer(&a.Path)), len(a.Path)-1), path)
	return a, 2 + n + 1
}
