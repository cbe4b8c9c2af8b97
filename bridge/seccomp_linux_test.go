// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package bridge

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// judge runs prog on a system call, as the kernel would. The machine loads words in
// network order, so that is how the call is put down.
func judge(t *testing.T, prog []bpf.Instruction, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatalf("not a program: %v", err)
	}
	data := make([]byte, offsetArgs+6*sizeArg)
	binary.BigEndian.PutUint32(data[offsetNumber:], nr)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offsetArgs+i*sizeArg:], uint32(a))
		binary.BigEndian.PutUint32(data[offsetArgs+i*sizeArg+sizeWord:], uint32(a>>32))
	}
	v, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

// program returns the filter with some doors open.
func program(t *testing.T, open ...Door) []bpf.Instruction {
	t.Helper()
	prog, err := filterProgram(func(d Door) bool { return slices.Contains(open, d) })
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

type judged struct {
	door Door // without which it is allowed; "" is always
	want uint32
	nr   uint32
	args []uint64
}

const high = 1 << 32

var (
	eperm, enosys    = refuse(unix.EPERM), refuse(unix.ENOSYS)
	nofamily, noprot = refuse(unix.EAFNOSUPPORT), refuse(unix.EPROTONOSUPPORT)
	flags            = uint64(unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK)
	callsJudged      = []judged{
		{"", verdictAllow, unix.SYS_GETPID, nil},
		{"", verdictAllow, unix.SYS_CONNECT, nil},
		{"", verdictAllow, unix.SYS_PTRACE, nil},
		{"", verdictAllow, unix.SYS_CLONE3, nil},
		{"", verdictAllow, unix.SYS_UNSHARE, []uint64{unix.CLONE_NEWUSER}},
		{"", verdictAllow, unix.SYS_MSEAL, nil},
		{"", verdictAllow, unix.SYS_IOCTL, []uint64{0, unix.TCGETS}},
		{"", verdictAllow, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM | flags, 0}},
		{"", verdictAllow, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP}},
		{"", verdictAllow, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP}},
		{"", verdictAllow, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW | flags, unix.NETLINK_ROUTE}},
		{"", verdictAllow, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | flags, 0}},
		{"", verdictAllow, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET, 0}},
		{DoorUnixSockets, nofamily, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | flags, 0}},
		{DoorUnixSockets, nofamily, unix.SYS_SOCKET, []uint64{high | unix.AF_UNIX, unix.SOCK_DGRAM, 0}},
		{DoorUnixSockets, eperm, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_DGRAM | flags, 0}},
		{DoorUnixSockets, eperm, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_RAW, 0}},
		{DoorUnixSockets, eperm, unix.SYS_SOCKETPAIR, []uint64{high | unix.AF_UNIX, high | unix.SOCK_DGRAM, 0}},
		{DoorSocketFamilies, nofamily, unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, unix.SOCK_STREAM, 0}},
		{DoorSocketFamilies, nofamily, unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}},
		{DoorSocketFamilies, nofamily, unix.SYS_SOCKET, []uint64{high | unix.AF_ALG, unix.SOCK_SEQPACKET, 0}},
		{DoorSocketFamilies, nofamily, unix.SYS_SOCKET, []uint64{unix.AF_MAX + 1, unix.SOCK_STREAM, 0}},
		{DoorSocketFamilies, nofamily, unix.SYS_SOCKETPAIR, []uint64{unix.AF_TIPC, unix.SOCK_STREAM, 0}},
		{DoorSocketFamilies, eperm, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP}},
		{DoorSocketFamilies, eperm, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_PACKET | flags, 0}},
		{DoorSocketFamilies, noprot, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}},
		{DoorSocketFamilies, noprot, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 256}}, // SMC
		{DoorNetlink, noprot, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}},
		{DoorNetlink, noprot, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_DGRAM, high | unix.NETLINK_GENERIC}},
		{DoorIOUring, enosys, unix.SYS_IO_URING_SETUP, nil},
		{DoorIOUring, enosys, unix.SYS_IO_URING_ENTER, nil},
		{DoorIOUring, enosys, unix.SYS_IO_URING_REGISTER, nil},
		{DoorTerminalInjection, eperm, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}},
		{DoorTerminalInjection, eperm, unix.SYS_IOCTL, []uint64{0, high | unix.TIOCSTI}},
		{DoorTerminalInjection, eperm, unix.SYS_IOCTL, []uint64{0, unix.TIOCLINUX}},
		{DoorKernelInterfaces, eperm, unix.SYS_BPF, nil},
		{DoorKernelInterfaces, eperm, unix.SYS_PERF_EVENT_OPEN, nil},
		{DoorKernelInterfaces, eperm, unix.SYS_USERFAULTFD, nil},
		{DoorKernelInterfaces, eperm, unix.SYS_OPEN_BY_HANDLE_AT, nil},
		{DoorKernelInterfaces, eperm, unix.SYS_FINIT_MODULE, nil},
		{DoorKernelInterfaces, eperm, unix.SYS_KEXEC_FILE_LOAD, nil},
		{DoorKernelInterfaces, enosys, unix.SYS_KEYCTL, nil},
		{DoorKernelInterfaces, enosys, unix.SYS_LISTNS, nil},
		{DoorKernelInterfaces, enosys, lastCall + 1, nil},
		{DoorKernelInterfaces, enosys, x32Range - 1, nil},
	}
)

// x32Range is where the numbers of x32 calls begin. They are another architecture's.
const x32Range = 0x40000000

func TestFilterProgram(t *testing.T) {
	t.Parallel()
	shut := program(t)
	if raw, err := bpf.Assemble(shut); err != nil || len(raw) > 4096 {
		t.Fatalf("assemble: %d instructions, %v", len(raw), err)
	}
	for _, c := range callsJudged {
		if got := judge(t, shut, nativeArch, c.nr, c.args...); got != c.want {
			t.Errorf("all doors shut: call %d%v: verdict %#x, want %#x", c.nr, c.args, got, c.want)
		}
		for _, d := range Doors() {
			want := c.want
			if d == c.door {
				want = verdictAllow
			}
			if got := judge(t, program(t, d), nativeArch, c.nr, c.args...); got != want {
				t.Errorf("%s open: call %d%v: verdict %#x, want %#x", d, c.nr, c.args, got, want)
			}
		}
	}
	if prog := program(t, Doors()...); prog != nil {
		t.Errorf("with all doors open there is a filter of %d instructions, want none", len(prog))
	}
}

// TestFilterForeign: nothing of another architecture is judged by this one's numbers.
func TestFilterForeign(t *testing.T) {
	t.Parallel()
	for _, arch := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_MIPS, 0} {
		if arch == nativeArch {
			continue
		}
		for _, nr := range []uint32{unix.SYS_GETPID, unix.SYS_SOCKET, 102, lastCall + 1} { // 102 is socketcall on i386
			for open, want := range map[Door]uint32{"": verdictKill, DoorUnixSockets: verdictKill, DoorForeignABI: verdictAllow} {
				if got := judge(t, program(t, open), arch, nr); got != want {
					t.Errorf("%q open: architecture %#x, call %d: verdict %#x, want %#x", open, arch, nr, got, want)
				}
			}
		}
	}
	for _, nr := range []uint32{unix.SYS_GETPID, unix.SYS_SOCKET, 513, ^uint32(0) - x32Range} {
		for _, open := range []Door{"", DoorKernelInterfaces} {
			if open != "" && x32Bit == 0 {
				continue // they are numbers of the future, no more
			}
			if got := judge(t, program(t, open), nativeArch, x32Range|nr); got != enosys {
				t.Errorf("%q open: x32 call %d: verdict %#x, want ENOSYS", open, nr, got)
			}
		}
		if got := judge(t, program(t, DoorForeignABI, DoorKernelInterfaces), nativeArch, x32Range|nr); got != verdictAllow {
			t.Errorf("x32 call %d with foreign-abi and kernel-interfaces open: verdict %#x, want it allowed", nr, got)
		}
	}
}

// TestFilterSocketArguments: of all arguments of socket that matter, those that pass are the listed ones.
func TestFilterSocketArguments(t *testing.T) {
	t.Parallel()
	prog := program(t)
	passed := map[string]bool{}
	for family := range uint64(64) {
		for typ := range uint64(16) {
			for proto := range uint64(300) {
				if judge(t, prog, nativeArch, unix.SYS_SOCKET, family, typ|flags, proto) == verdictAllow {
					passed[fmt.Sprintf("%d %d %d", family, typ, proto)] = true
				}
			}
		}
	}
	want := 0
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			for _, proto := range []int{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
				want++
				if !passed[fmt.Sprintf("%d %d %d", family, typ, proto)] {
					t.Errorf("socket(%d, %d, %d) does not pass", family, typ, proto)
				}
			}
		}
	}
	want += 16 // netlink, of any type: the kernel has two
	if len(passed) != want {
		t.Errorf("%d combinations pass, want %d: %v", len(passed), want, passed)
	}
}
