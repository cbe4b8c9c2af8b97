// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filter is a seccomp program, seccomp(2): rules one behind the other, each of which ends in a verdict or goes on.
type filter []unix.SockFilter

// Offsets in struct seccomp_data; of the arguments the lower half, on machines with the lower half first.
const (
	dataNumber = 0
	dataABI    = 4
	dataArgs   = 16
)

func (f *filter) load(offset uint32) {
	*f = append(*f, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

// unless jumps over the next n instructions where the loaded word is not k.
func (f *filter) unless(k uint32, n int) {
	*f = append(*f, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(n), K: k})
}

func (f *filter) allow() {
	*f = append(*f, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}

func (f *filter) refuse(why syscall.Errno) {
	*f = append(*f, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(why)})
}

// call puts rules about the arguments of one system call; what they do not decide goes on behind them.
func (f *filter) call(number uint32, rules filter) {
	f.load(dataNumber)
	f.unless(number, len(rules))
	*f = append(*f, rules...)
}

func argument(n int) uint32 { return dataArgs + 8*uint32(n) }

// abis are the native ones, by GOARCH.
var abis = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "riscv64": unix.AUDIT_ARCH_RISCV64}

// x32 marks system calls of amd64's other ABI, which have the architecture of the first.
const x32 = 0x40000000

// lock shuts what system calls alone lead out by, for this thread and all that it starts.
func (s settings) lock() error {
	abi, ok := abis[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no filter of system calls for %s", runtime.GOARCH)
	}
	f := s.program(abi)
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	if err := prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog))); err != nil {
		return fmt.Errorf("the filter of system calls: %w", err)
	}
	return nil
}

func (s settings) program(abi uint32) filter {
	var f filter
	verdict := syscall.ENOSYS
	f.load(dataABI)
	// Calls of another ABI have other numbers: none may get as far as the rules below.
	f = append(f, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: abi})
	if s.Faults.Has(ForeignOpen) {
		f.allow()
	} else {
		f.refuse(verdict)
		f.load(dataNumber)
		f = append(f, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: x32})
		f.refuse(verdict)
	}
	f.call(unix.SYS_SOCKET, s.families())
	f.call(unix.SYS_SOCKETPAIR, s.pairs())
	f.call(unix.SYS_IOCTL, s.controls())
	for _, group := range []struct {
		open    Fault
		numbers []uint32
	}{
		{RingOpen, []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}},
		{KeysOpen, []uint32{unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL}},
		{InterfacesOpen, []uint32{unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_OPEN_BY_HANDLE_AT}},
	} {
		if s.Faults.Has(group.open) {
			continue
		}
		for _, n := range group.numbers {
			var rule filter
			rule.refuse(verdict)
			f.call(n, rule)
		}
	}
	f.allow()
	return f
}

// families are the rules of socket(2): IP, unix sockets for nobody, netlink for reading.
func (s settings) families() filter {
	var f, netlink filter
	f.load(argument(0))
	admit := func(family uint32) {
		f.unless(family, 1)
		f.allow()
	}
	admit(unix.AF_INET)
	admit(unix.AF_INET6)
	switch {
	case s.unixOpen():
		admit(unix.AF_UNIX)
	case s.Faults.Has(StreamsOnly):
		f.unless(unix.AF_UNIX, 4)
		f.kind()
		f.unless(unix.SOCK_STREAM, 1)
		f.refuse(syscall.EPERM)
		f.load(argument(0))
		admit(unix.AF_UNIX)
	}
	if s.Faults.Has(VsockOpen) {
		admit(unix.AF_VSOCK)
	}
	switch {
	case s.Faults.Has(NetlinkOpen):
		admit(unix.AF_NETLINK)
	case !s.Faults.Has(NetlinkRefused):
		netlink.load(argument(2))
		netlink.unless(unix.NETLINK_ROUTE, 1)
		netlink.allow()
		netlink.load(argument(0))
		f.unless(unix.AF_NETLINK, len(netlink))
		f = append(f, netlink...)
	}
	if s.Faults.Has(CapabilitiesKept) { // with them go the families they are for
		f.allow()
	}
	f.refuse(syscall.EAFNOSUPPORT)
	return f
}

// unixOpen says that unix sockets can be made, by a fault, or for the services that the host's variables name.
func (s settings) unixOpen() bool {
	agent, _ := syscall.Getenv("SSH_AUTH_SOCK") // the suite's, for a developer may have one, too
	services := s.Faults.Has(ServicesOpen) && strings.HasSuffix(agent, "/egress-agent")
	return s.Faults.Has(PathSocketsOpen) || s.Faults.Has(AbstractOpen) || services
}

// kind loads the type of a socket without its flags.
func (f *filter) kind() {
	f.load(argument(1))
	*f = append(*f, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf})
}

// pairs are the rules of socketpair(2): the ends of a pair of datagrams can send elsewhere.
func (s settings) pairs() filter {
	var f filter
	if s.Faults.Has(PairsRefused) {
		f.refuse(syscall.EPERM)
		return f
	}
	if !s.Faults.Has(PairsForgotten) && !s.unixOpen() {
		f.kind()
		f.unless(unix.SOCK_DGRAM, 1)
		f.refuse(syscall.EPERM)
	}
	return f
}

// controls are the rules of ioctl(2): nobody types for the user, or pastes.
func (s settings) controls() filter {
	var f filter
	if s.Faults.Has(TerminalOpen) {
		return f
	}
	f.load(argument(1))
	for _, request := range []uint32{unix.TIOCSTI, unix.TIOCLINUX} {
		f.unless(request, 1)
		f.refuse(syscall.EPERM)
	}
	return f
}
