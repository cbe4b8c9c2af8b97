// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// address is v's address, as an argument of a system call.
func address[T any](v *T) uintptr { return uintptr(unsafe.Pointer(v)) }

// foreignStatus is the exit status of the program that foreignProgram makes.
const foreignStatus = 42

// foreignCode does nothing but exit(foreignStatus), for the 32-bit architecture
// that goes with this one.
var foreignCode = map[string]struct {
	machine uint16
	flags   uint32
	code    []byte
}{
	"amd64": {machine: 3, code: []byte{
		0xb8, 1, 0, 0, 0, // mov $1, %eax
		0xbb, foreignStatus, 0, 0, 0, // mov $42, %ebx
		0xcd, 0x80, // int $0x80
	}},
	"arm64": {machine: 40, flags: 0x05000000, code: []byte{
		0x01, 0x70, 0xa0, 0xe3, // mov r7, #1
		foreignStatus, 0x00, 0xa0, 0xe3, // mov r0, #42
		0x00, 0x00, 0x00, 0xef, // svc #0
	}},
}

// foreignProgram returns a program of another architecture that this kernel may have as
// well, or nil: an ELF header, a program header and the code.
func foreignProgram(arch string) []byte {
	f, ok := foreignCode[arch]
	if !ok {
		return nil
	}
	const base, headers = 0x10000, 52 + 32
	size := uint32(headers + len(f.code))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 1, 1, 1, 15: 0}) // 32 bits, little-endian
	for _, v := range []any{
		uint16(2), f.machine, uint32(1), uint32(base + headers), uint32(52), uint32(0), f.flags, // executable, entry, program header
		uint16(52), uint16(32), uint16(1), uint16(40), uint16(0), uint16(0),
		uint32(1), uint32(0), uint32(base), uint32(base), size, size, uint32(5), uint32(0x1000), // load, readable, executable
	} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.Write(f.code)
	return b.Bytes()
}

// tryForeign runs a program of another architecture, and makes an x32 system call.
func tryForeign() (all []attempt) {
	if x32 := x32Getpid(); x32 != 0 {
		e := call(x32)
		all = append(all, attempt{Door: DoorForeignABI, What: "x32 system call", Refused: e == unix.ENOSYS, Result: describe(e)})
	}
	a := attempt{Door: DoorForeignABI, What: "32-bit program"}
	err := runForeign()
	var exit *exec.ExitError
	switch {
	case errors.Is(err, unix.ENOEXEC) || errors.Is(err, errors.ErrUnsupported):
		a.Refused, a.Absent, a.Result = true, true, "this kernel runs none"
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == unix.SIGSYS:
		a.Refused, a.Result = true, "is killed"
	case errors.As(err, &exit) && exit.ExitCode() == foreignStatus:
		a.Result = "ran"
	default:
		a.Result = fmt.Sprint(err)
	}
	return append(all, a)
}

// runForeign runs foreignProgram from memory.
func runForeign() error {
	program := foreignProgram(runtime.GOARCH)
	if program == nil {
		return errors.ErrUnsupported
	}
	fd, err := unix.MemfdCreate("foreign", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	w := os.NewFile(uintptr(fd), "foreign")
	_, err = w.Write(program)
	if err != nil {
		w.Close()
		return err
	}
	r, err := os.Open(descriptorPath(fd)) // one that nobody writes to can be executed
	w.Close()
	if err != nil {
		return err
	}
	defer r.Close()
	return exec.Command(descriptorPath(int(r.Fd()))).Run()
}

// x32Getpid is the number of getpid(2) for x32 programs, or 0 where there are none.
func x32Getpid() uintptr {
	if runtime.GOARCH == "amd64" {
		return 0x40000000 | unix.SYS_GETPID
	}
	return 0
}
