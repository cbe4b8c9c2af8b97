// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// beVictim lets every process trace it that may trace anything: what protects it from the sandbox must be the sandbox.
func beVictim(secret string) error {
	got := make(chan os.Signal, 8)
	signal.Notify(got, unix.SIGWINCH, unix.SIGPWR)
	// The capabilities of a user who is root would protect it, too. This is the thread that is traced: a program's first
	// runs what its packages do at the start.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return err
	}
	// Without Yama, which restricts tracing, there is nothing to open up.
	_ = unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0)
	held, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	copy(held, secret)
	fmt.Printf(VictimAt+"\n", uintptr(unsafe.Pointer(&held[0])))
	io.Copy(io.Discard, os.Stdin)
	said := VictimIntact
	// The higher number is delivered last: what was sent before has then been seen.
	if err := unix.Kill(os.Getpid(), unix.SIGPWR); err != nil {
		return err
	}
	for sig := range got {
		if sig == unix.SIGPWR {
			break
		}
		said = VictimSignaled
	}
	if string(held[:len(secret)]) != secret {
		said = VictimChanged
	}
	fmt.Println(said)
	return nil
}

// place reads an Address "PID ADDRESS".
func place(a Action) (pid int, at uintptr, err error) {
	left, right, _ := strings.Cut(a.Address, " ")
	pid, err = strconv.Atoi(left)
	n, err2 := strconv.ParseUint(right, 10, 64)
	return pid, uintptr(n), errors.Join(err, err2)
}

func trySignal(a Action) Result {
	pid, err := strconv.Atoi(a.Address)
	if err == nil {
		err = unix.Kill(pid, unix.SIGWINCH) // which every process ignores that has not asked for it
	}
	if err != nil {
		return failed(err)
	}
	return Result{Done: true, Detail: "a process of this number was signaled"}
}

// tryMemory reads with process_vm_readv(2) and /proc/PID/mem, and writes over what it has read.
func tryMemory(a Action) Result {
	pid, at, err := place(a)
	if err != nil {
		return failed(err)
	}
	buf := make([]byte, len(a.Text))
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	remote := []unix.RemoteIovec{{Base: at, Len: len(buf)}}
	if _, err := unix.ProcessVMReadv(pid, local, remote, 0); err == nil && string(buf) == a.Text {
		buf[0]++
		_, err := unix.ProcessVMWritev(pid, local, remote, 0)
		return Result{Done: true, Detail: fmt.Sprint("read by process_vm_readv; writing: ", err)}
	} else if err != nil {
		a.Network = err.Error()
	}
	f, err := os.OpenFile(filepath.Join("/proc", strconv.Itoa(pid), "mem"), os.O_RDWR, 0)
	if err != nil {
		return Result{Detail: fmt.Sprintf("%s; %v", a.Network, err)}
	}
	defer f.Close()
	if _, err := f.ReadAt(buf, int64(at)); err != nil || string(buf) != a.Text {
		return Result{Detail: fmt.Sprintf("%s; %v", a.Network, err)}
	}
	return Result{Done: true, Detail: "read by /proc/PID/mem"}
}

func tryTrace(a Action) Result {
	pid, at, err := place(a)
	if err != nil {
		return failed(err)
	}
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	const seize = 0x4206 // PTRACE_SEIZE, which does not stop what is none of ours
	if _, _, errno := syscall.Syscall6(unix.SYS_PTRACE, seize, uintptr(pid), 0, 0, 0, 0); errno != 0 {
		return failed(errno)
	}
	defer func() { _ = unix.PtraceDetach(pid) }()
	if err := unix.PtraceInterrupt(pid); err != nil {
		return failed(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
		return failed(err)
	}
	buf := make([]byte, len(a.Text))
	if _, err := unix.PtracePeekData(pid, at, buf); err != nil || string(buf) != a.Text {
		return Result{Detail: fmt.Sprint("another process has this number here; ", err)}
	}
	return Result{Done: true, Detail: "read by ptrace"}
}

// tryKey reads a key of the session that this program was started in.
func tryKey(a Action) Result {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", a.Address, 0)
	if err != nil {
		return failed(err)
	}
	buf := make([]byte, 256)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, buf, 0)
	if err != nil {
		return failed(err)
	}
	got := string(buf[:min(n, len(buf))])
	return Result{Done: got == a.Text, Detail: fmt.Sprintf("a key with %d bytes", len(got))}
}

// tryType types into the terminal this program was given, and into the one that controls it, a character at a time as
// if somebody sat there.
func tryType(a Action) Result {
	fds := []int{0}
	if fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	var errs []error
	for _, fd := range fds {
		if err := typeInto(fd, a.Text); err != nil {
			errs = append(errs, err)
			continue
		}
		return Result{Done: true, Detail: "typed"}
	}
	return failed(errors.Join(errs...))
}

func typeInto(fd int, text string) error {
	for _, c := range []byte(text) {
		if _, _, errno := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&c))); errno != 0 {
			return errno
		}
	}
	return nil
}
