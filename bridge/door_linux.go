// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filterDoors are the doors that a system call filter shuts.
var filterDoors = []Door{
	DoorUnixSockets, DoorSocketFamilies, DoorNetlink, DoorIOUring, DoorForeignABI, DoorKernelInterfaces, DoorTerminalInjection,
}

// planDoors tells the process inside, by way of p, which doors to shut, and finds out
// first that they can be shut here.
func (s Sandbox) planDoors(p *params) error {
	for _, d := range s.Weaker {
		if !slices.Contains(Doors(), d) {
			return fmt.Errorf("bridge: there is no door %q to leave open: the doors are %s", d, names(Doors()))
		}
	}
	p.Weaker = s.Weaker
	for _, name := range s.HostSockets {
		socket, err := checkHostSocket(name, s.Hide)
		if err != nil {
			return err
		}
		for _, n := range []string{filepath.Clean(name), socket} { // what the caller calls it, and what it is
			if !slices.Contains(p.HostSockets, n) {
				p.HostSockets = append(p.HostSockets, n)
			}
		}
	}
	needed := slices.DeleteFunc(slices.Clone(filterDoors), p.open)
	if err := filterWorks(); err != nil && len(needed) > 0 {
		return fmt.Errorf("bridge: the doors %s cannot be shut on this system, so nothing is run: %w; "+
			"to run without them, leave them open by name (Sandbox.Weaker, --allow-weaker)", names(needed), inner{err})
	}
	return nil
}

// checkHostSocket returns the real path of a socket that is to stay in sight.
func checkHostSocket(name string, hide []string) (string, error) {
	if !filepath.IsAbs(name) || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("bridge: %q is to be a host socket of the sandbox and is no absolute path", name)
	}
	path, err := realPath(name)
	if err != nil {
		return "", fmt.Errorf("bridge: %s cannot be a host socket of the sandbox: %w", name, withoutPath(err))
	}
	info, err := os.Lstat(path)
	if err != nil {
		return "", fmt.Errorf("bridge: %s cannot be a host socket of the sandbox: %w", name, withoutPath(err))
	}
	if info.Mode()&os.ModeSocket == 0 {
		return "", fmt.Errorf("bridge: %s cannot be a host socket of the sandbox: it is no socket", name)
	}
	for _, h := range hide {
		if hidden, err := realPath(h); err == nil && within(hidden, path) {
			return "", fmt.Errorf("bridge: %s cannot be a host socket of the sandbox, from which %s is to be hidden", name, h)
		}
	}
	return path, nil
}

func names(doors []Door) string {
	var all []string
	for _, d := range doors {
		all = append(all, string(d))
	}
	return strings.Join(all, ", ")
}

// open reports whether d is left open in the sandbox. A socket that the command
// is meant to connect to takes Unix sockets.
func (p params) open(d Door) bool {
	return slices.Contains(p.Weaker, d) || d == DoorUnixSockets && len(p.HostSockets) > 0
}

// filterWorks finds out whether this kernel has system call filters, with the verdicts
// that ours has, without installing one.
func filterWorks() error {
	if _, err := filterProgram(func(Door) bool { return false }); err != nil {
		return err
	}
	for _, action := range []uint32{unix.SECCOMP_RET_ERRNO, unix.SECCOMP_RET_KILL_PROCESS} {
		_, _, e := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
		if e != 0 {
			return fmt.Errorf("bridge: this kernel (or a container's filter) has no seccomp filter as of Linux 4.14 (CONFIG_SECCOMP_FILTER): %w", e)
		}
	}
	return nil
}

// shutDoors shuts the doors that a system call filter shuts. It is called without any
// capability and with no_new_privs, on the thread that then executes or is the reaper: nothing
// that comes after it can get rid of the filter, by no exec, fork or namespace. Everywhere says
// that no thread of this process has a capability any more, and shuts the doors for all of them.
func shutDoors(p params, everywhere bool) error {
	if err := checkStdio(p); err != nil {
		return err
	}
	if !slices.ContainsFunc(filterDoors, func(d Door) bool { return !p.open(d) }) {
		return nil
	}
	prog, err := filterProgram(p.open)
	if err != nil || len(prog) == 0 {
		return err
	}
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return fmt.Errorf("bridge: assemble the system call filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	flags := uintptr(0)
	if everywhere {
		flags = unix.SECCOMP_FILTER_FLAG_TSYNC
	}
	thread, _, e := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	if e != 0 {
		return fmt.Errorf("bridge: install the system call filter: %w", e)
	}
	if thread != 0 {
		return fmt.Errorf("bridge: install the system call filter: thread %d cannot have it", thread)
	}
	return checkFiltered()
}

// checkFiltered asks the kernel, rather than believe that there is a filter.
func checkFiltered() error {
	status, err := threadStatus()
	if err != nil {
		return fmt.Errorf("bridge: check that there is a system call filter: %w", err)
	}
	if !isFiltered(status) {
		return errors.New("bridge: the kernel does not apply the system call filter: refusing to run the command")
	}
	return nil
}

// isFiltered reports whether a thread with this status in /proc has a system call filter.
func isFiltered(status []byte) bool {
	for line := range strings.Lines(string(status)) {
		if mode, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(mode) == strconv.Itoa(unix.SECCOMP_MODE_FILTER)
		}
	}
	return false
}

// checkStdio refuses standard descriptors that are sockets by which the command could
// reach what they do not lead to already: an Internet socket is one of the host's network
// and can be connected again, a datagram can be sent anywhere, a listener gets whoever comes.
func checkStdio(p params) error {
	for fd, name := range []string{"standard input", "standard output", "standard error"} {
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			continue // no socket
		}
		typ, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		_, perr := unix.Getpeername(fd)
		stays := domain == unix.AF_UNIX && (typ == unix.SOCK_STREAM || typ == unix.SOCK_SEQPACKET) && perr == nil
		if stays || domain == unix.AF_UNIX && p.open(DoorUnixSockets) {
			continue
		}
		return fmt.Errorf("bridge: %s is a socket of the host by which the command could get out of the sandbox: "+
			"refusing to run it: pass a pipe instead (… | cat)", name)
	}
	return nil
}
