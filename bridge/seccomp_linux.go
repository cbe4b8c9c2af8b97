// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package bridge

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter refuses what it names and lets everything else pass: what programs call
// grows with every C library, and a list of all that is harmless would break them. What makes
// that safe is that the list of what is refused is closed at its end: a system call with a number
// above lastCall, which did not exist when this was written, is ENOSYS, as on the
// kernels of that time, and programs take that for an old kernel. Sockets are
// the other way round: only the families, types and protocols that are listed pass.
//
// The kernel looks at 32 bits of the arguments that are judged here (they are ints), so
// the filter must not look at more: socket(1<<32|AF_UNIX, …) makes a Unix socket.

// Where struct seccomp_data has the number, the architecture and the arguments, whose low
// halves come first on the architectures that there is a filter for.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
	sizeArg      = 8
	sizeWord     = 4
)

// socketTypeMask is what of the type argument of socket(2) is the type; the rest are flags.
const socketTypeMask = 0xf

const (
	verdictAllow = unix.SECCOMP_RET_ALLOW
	verdictKill  = unix.SECCOMP_RET_KILL_PROCESS
)

func refuse(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

func verdict(v uint32) bpf.Instruction { return bpf.RetConstant{Val: v} }

func loadWord(offset uint32) bpf.Instruction {
	return bpf.LoadAbsolute{Off: offset, Size: sizeWord}
}

// argument loads the low half of argument n.
func argument(n uint32) bpf.Instruction { return loadWord(offsetArgs + n*sizeArg) }

// when does then, which ends in a verdict, if the accumulator is v.
func when(v uint32, then ...bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: uint8(len(then))}}, then...)
}

// whenAny is when for several values and one verdict.
func whenAny(v uint32, values ...uint32) (prog []bpf.Instruction) {
	for _, value := range values {
		prog = append(prog, when(value, verdict(v))...)
	}
	return prog
}

// then joins pieces of a program.
func then(pieces ...[]bpf.Instruction) (prog []bpf.Instruction) {
	for _, p := range pieces {
		prog = append(prog, p...)
	}
	return prog
}

func one(i ...bpf.Instruction) []bpf.Instruction { return i }

// filterProgram returns the system call filter that shuts all doors but those that are open, or
// nil if that leaves nothing to do.
func filterProgram(open func(Door) bool) ([]bpf.Instruction, error) {
	var rules []bpf.Instruction
	if !open(DoorKernelInterfaces) {
		rules = append(rules, newCalls()...)
	}
	// The most frequent of them first: each rule costs a comparison.
	rules = append(rules, ioctlRule(open)...)
	rules = append(rules, socketRule(open)...)
	rules = append(rules, socketpairRule(open)...)
	if !open(DoorIOUring) {
		rules = append(rules, whenAny(refuse(unix.ENOSYS), unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER)...)
	}
	if !open(DoorKernelInterfaces) {
		rules = append(rules, whenAny(refuse(unix.EPERM), forbiddenCalls...)...)
		rules = append(rules, whenAny(refuse(unix.ENOSYS), absentCalls...)...)
	}
	if len(rules) == 0 && open(DoorForeignABI) {
		return nil, nil
	}
	return then(foreignRule(open(DoorForeignABI)), rules, one(verdict(verdictAllow))), nil
}

// foreignRule deals with system calls that are not this architecture's, by whose
// numbers nothing must be judged. A program that makes one is killed, as it could not
// even end in order (its exit would be refused, too); x32, which a program may ask for, is ENOSYS.
func foreignRule(open bool) []bpf.Instruction {
	foreign, x32 := uint32(verdictKill), refuse(unix.ENOSYS)
	if open {
		foreign, x32 = verdictAllow, verdictAllow
	}
	prog := one(
		loadWord(offsetArch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nativeArch, SkipTrue: 1},
		verdict(foreign),
		loadWord(offsetNumber),
	)
	if x32Bit != 0 {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32Bit, SkipFalse: 1}, verdict(x32))
	}
	return prog
}

// newCalls refuses what this library does not know.
func newCalls() []bpf.Instruction {
	return one(bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: lastCall, SkipFalse: 1}, verdict(refuse(unix.ENOSYS)))
}

// ioctlRule refuses to put characters into the input of a terminal, and to paste what is selected on the console.
func ioctlRule(open func(Door) bool) []bpf.Instruction {
	if open(DoorTerminalInjection) {
		return nil
	}
	return when(unix.SYS_IOCTL, then(
		one(argument(1)),
		whenAny(refuse(unix.EPERM), unix.TIOCSTI, unix.TIOCLINUX),
		one(verdict(verdictAllow)))...)
}

// socketRule judges socket(family, type, protocol). A Unix socket is refused like a family that
// the kernel does not have, for which programs are prepared: musl then looks for users in
// its files alone, where EPERM makes its getgrouplist fail, and dig goes without a word.
func socketRule(open func(Door) bool) []bpf.Instruction {
	unixSockets, families := refuse(unix.EAFNOSUPPORT), refuse(unix.EAFNOSUPPORT)
	if open(DoorUnixSockets) {
		unixSockets = verdictAllow
	}
	netlink := then(one(argument(2)), whenAny(verdictAllow, unix.NETLINK_ROUTE), one(verdict(refuse(unix.EPROTONOSUPPORT))))
	if open(DoorNetlink) {
		netlink = one(verdict(verdictAllow))
	}
	internet := internetRule()
	if open(DoorSocketFamilies) {
		internet, families = one(verdict(verdictAllow)), verdictAllow
	}
	if open(DoorUnixSockets) && open(DoorNetlink) && open(DoorSocketFamilies) {
		return nil
	}
	return when(unix.SYS_SOCKET, then(
		one(argument(0)),
		when(unix.AF_UNIX, verdict(unixSockets)),
		when(unix.AF_INET, internet...),
		when(unix.AF_INET6, internet...),
		when(unix.AF_NETLINK, netlink...),
		one(verdict(families)))...)
}

// internetRule lets streams and datagrams pass, of the usual protocols. SOCK_RAW takes a
// capability anyway, and AF_INET with SOCK_PACKET makes a packet socket.
func internetRule() []bpf.Instruction {
	return then(
		one(argument(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: socketTypeMask},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_STREAM, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SOCK_DGRAM, SkipTrue: 1},
			verdict(refuse(unix.EPERM)),
			argument(2)),
		whenAny(verdictAllow, unix.IPPROTO_IP, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6),
		one(verdict(refuse(unix.EPROTONOSUPPORT))))
}

// socketpairRule judges socketpair(family, type, …). The ends of a pair of streams or
// packets are connected for good; a datagram (SOCK_RAW means the same) can be sent
// elsewhere, and its socket connected again.
func socketpairRule(open func(Door) bool) []bpf.Instruction {
	local, families := then(
		one(argument(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: socketTypeMask}),
		whenAny(verdictAllow, unix.SOCK_STREAM, unix.SOCK_SEQPACKET),
		one(verdict(refuse(unix.EPERM)))), refuse(unix.EAFNOSUPPORT)
	if open(DoorUnixSockets) {
		local = one(verdict(verdictAllow))
	}
	if open(DoorSocketFamilies) {
		families = verdictAllow
	}
	if open(DoorUnixSockets) && open(DoorSocketFamilies) {
		return nil
	}
	return when(unix.SYS_SOCKETPAIR, then(
		one(argument(0)),
		when(unix.AF_UNIX, local...),
		one(verdict(families)))...)
}

// forbiddenCalls are those of DoorKernelInterfaces that programs expect to be forbidden. Most of them
// take a capability of the host already: then the filter is the second fence. ptrace, process_vm_readv and pidfd_getfd
// are missing on purpose: debuggers and LeakSanitizer need them, and no process
// outside the sandbox's process namespace can be named. mount, unshare and
// setns are, as sandboxes within the sandbox (browsers have them) need them.
var forbiddenCalls = append([]uint32{
	unix.SYS_BPF,
	unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_USERFAULTFD,
	unix.SYS_OPEN_BY_HANDLE_AT,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF,
	unix.SYS_SYSLOG, // the kernel's log, not syslog(3)
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	unix.SYS_VHANGUP,
	unix.SYS_LOOKUP_DCOOKIE,
}, archForbiddenCalls...)

// absentCalls are those without which kernels are built as well, so that programs have
// another way. The keys of the session keyring are shared with the host's processes.
var absentCalls = append([]uint32{
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_NFSSERVCTL,
	unix.SYS_LISTNS, // would list the host's namespaces
}, archAbsentCalls...)

// lastCall is the newest system call that this list was made with knowledge of.
const lastCall = unix.SYS_RSEQ_SLICE_YIELD
