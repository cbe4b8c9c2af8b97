// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Doors that cannot be left open.
const (
	doorNetwork     Door = "network"
	doorProcesses   Door = "processes"
	doorPrivileges  Door = "privileges"
	doorDescriptors Door = "descriptors"
	doorSession     Door = "session"
)

// attempt is something that a command could try on a door.
type attempt struct {
	Door Door
	What string
	// Refused reports that it came to nothing because the door is shut; Absent that
	// this kernel does not have what was tried.
	Refused, Absent bool
	Result          string // for people
}

// probeDoors is what Explain has a sandbox run as its command: it tries every door and
// says what happened, except for the doors in the comma-separated list args[0]. Its input is the
// services that must be out of sight.
func probeDoors(args []string) error {
	var services []service
	if err := json.NewDecoder(os.Stdin).Decode(&services); err != nil {
		return fmt.Errorf("bridge: read what to try: %w", err)
	}
	all := slices.Concat(tryAlways(), tryCalls(strings.Split(args[0], ",")), tryForeign(), tryServices(services), tryVariables())
	return json.NewEncoder(os.Stdout).Encode(all)
}

// call makes a system call and returns its error.
func call(nr uintptr, args ...uintptr) unix.Errno {
	var a [4]uintptr
	copy(a[:], args)
	r, _, e := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], 0, 0)
	if e == 0 && (nr == unix.SYS_SOCKET || nr == unix.SYS_IO_URING_SETUP) {
		unix.Close(int(r))
	}
	return e
}

// exotic are socket families by which programs have left sandboxes or attacked the kernel.
// To try one that is not shut may have the host load a module.
func exotic() map[string]uintptr {
	return map[string]uintptr{
		"vsock": unix.AF_VSOCK, "packet": unix.AF_PACKET, "alg": unix.AF_ALG, "xdp": unix.AF_XDP, "can": unix.AF_CAN,
		"tipc": unix.AF_TIPC, "bluetooth": unix.AF_BLUETOOTH, "nfc": unix.AF_NFC, "rds": unix.AF_RDS, "smc": unix.AF_SMC,
		"kcm": unix.AF_KCM, "qipcrtr": unix.AF_QIPCRTR, "key": unix.AF_KEY, "rxrpc": unix.AF_RXRPC, "pppox": unix.AF_PPPOX,
	}
}

// tryCalls tries what a system call filter refuses. The arguments of calls that could do harm make no sense.
func tryCalls(skip []string) (all []attempt) {
	try := func(d Door, what string, want unix.Errno, nr uintptr, args ...uintptr) {
		if slices.Contains(skip, string(d)) {
			return
		}
		e := call(nr, args...)
		all = append(all, attempt{Door: d, What: what, Refused: e == want, Result: describe(e)})
	}
	// The kernel takes the lower half of an int. Where there is no upper half (32 bits) the call is
	// tried a second time as it is.
	high := func(v uint64) uintptr { return uintptr(1<<32 | v) }
	for name, typ := range map[string]uintptr{"stream": unix.SOCK_STREAM, "datagram": unix.SOCK_DGRAM, "packet": unix.SOCK_SEQPACKET, "raw": unix.SOCK_RAW} {
		try(DoorUnixSockets, name+" socket", unix.EAFNOSUPPORT, unix.SYS_SOCKET, unix.AF_UNIX, typ|unix.SOCK_CLOEXEC)
	}
	try(DoorUnixSockets, "socket with a long family", unix.EAFNOSUPPORT, unix.SYS_SOCKET, high(unix.AF_UNIX), unix.SOCK_STREAM)
	for name, typ := range map[string]uintptr{"datagrams": unix.SOCK_DGRAM, "raw sockets": unix.SOCK_RAW | unix.SOCK_NONBLOCK} {
		var fds [2]int32
		try(DoorUnixSockets, "pair of "+name, unix.EPERM, unix.SYS_SOCKETPAIR, unix.AF_UNIX, typ, 0, address(&fds))
	}
	for name, family := range exotic() {
		try(DoorSocketFamilies, name+" socket", unix.EAFNOSUPPORT, unix.SYS_SOCKET, family, unix.SOCK_DGRAM)
		try(DoorSocketFamilies, "raw "+name+" socket", unix.EAFNOSUPPORT, unix.SYS_SOCKET, family, unix.SOCK_RAW)
	}
	try(DoorSocketFamilies, "packet socket of the old kind", unix.EPERM, unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_PACKET)
	for name, proto := range map[string]uintptr{"mptcp": unix.IPPROTO_MPTCP, "udplite": unix.IPPROTO_UDPLITE, "sctp": unix.IPPROTO_SCTP} {
		try(DoorSocketFamilies, name+" socket", unix.EPROTONOSUPPORT, unix.SYS_SOCKET, unix.AF_INET6, unix.SOCK_STREAM, proto)
	}
	for name, proto := range map[string]uintptr{"netfilter": unix.NETLINK_NETFILTER, "generic": unix.NETLINK_GENERIC, "audit": unix.NETLINK_AUDIT,
		"diagnosis": unix.NETLINK_SOCK_DIAG, "device event": unix.NETLINK_KOBJECT_UEVENT} {
		try(DoorNetlink, name+" socket", unix.EPROTONOSUPPORT, unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, proto)
	}
	for name, nr := range map[string]uintptr{"set up": unix.SYS_IO_URING_SETUP, "enter": unix.SYS_IO_URING_ENTER, "register": unix.SYS_IO_URING_REGISTER} {
		try(DoorIOUring, name, unix.ENOSYS, nr, 0)
	}
	for name, cmd := range map[string]uintptr{"type": unix.TIOCSTI, "paste": unix.TIOCLINUX, "type, long": high(unix.TIOCSTI)} {
		try(DoorTerminalInjection, name, unix.EPERM, unix.SYS_IOCTL, 0, cmd, 0)
	}
	for name, k := range kernelCalls() {
		try(DoorKernelInterfaces, name, k.want, k.nr, ^uintptr(0), ^uintptr(0), ^uintptr(0), ^uintptr(0))
	}
	return all
}

// kernelCalls are some of those that are refused.
func kernelCalls() map[string]kernelCall {
	return map[string]kernelCall{
		"bpf": {unix.SYS_BPF, unix.EPERM}, "perf_event_open": {unix.SYS_PERF_EVENT_OPEN, unix.EPERM},
		"userfaultfd": {unix.SYS_USERFAULTFD, unix.EPERM}, "open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT, unix.EPERM},
		"add_key": {unix.SYS_ADD_KEY, unix.ENOSYS}, "request_key": {unix.SYS_REQUEST_KEY, unix.ENOSYS}, "keyctl": {unix.SYS_KEYCTL, unix.ENOSYS},
		"syslog": {unix.SYS_SYSLOG, unix.EPERM}, "quotactl": {unix.SYS_QUOTACTL, unix.EPERM}, "init_module": {unix.SYS_INIT_MODULE, unix.EPERM},
		"a system call of the future": {unix.SYS_RSEQ_SLICE_YIELD + 1, unix.ENOSYS},
	}
}

// kernelCall is a system call and how it is refused.
type kernelCall struct {
	nr   uintptr
	want unix.Errno
}

func describe(e unix.Errno) string {
	if e == 0 {
		return "worked"
	}
	return e.Error()
}

// tryServices looks whether any of the host's services is in sight.
func tryServices(services []service) (all []attempt) {
	for _, s := range services {
		var st unix.Stat_t
		err := unix.Lstat(string(s.Path), &st)
		kind := st.Mode & unix.S_IFMT
		seen := err == nil && (!s.Dir && kind == unix.S_IFSOCK || s.Dir && uint64(st.Dev) == s.StDev && st.Ino == s.Ino)
		a := attempt{Door: DoorHostServices, What: string(s.Path), Refused: !seen, Result: "is out of sight"}
		if seen {
			a.Result = "is in sight"
		}
		all = append(all, a)
	}
	return all
}

func tryVariables() (all []attempt) {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); isHostVariable(name) {
			all = append(all, attempt{Door: DoorHostVariables, What: name, Result: "is set"})
		}
	}
	return all
}

// tryAlways looks at what has no switch.
func tryAlways() []attempt {
	check := func(d Door, what string, err error) attempt {
		a := attempt{Door: d, What: what, Refused: err == nil, Result: "as it should be"}
		if err != nil {
			a.Result = strings.TrimPrefix(err.Error(), errorPrefix)
		}
		return a
	}
	var extra error
	if err := eachFD(func(fd int) error {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			extra = fmt.Errorf("descriptor %d is open", fd)
		}
		return nil
	}); err != nil {
		extra = err
	}
	var session error
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		session = errors.New("the session is another process's")
	}
	return []attempt{
		check(doorNetwork, "interfaces", onlyLoopback()),
		check(doorProcesses, "process 1", firstIsOurs()),
		check(doorPrivileges, "capabilities", checkUnprivileged()),
		check(doorDescriptors, "descriptors", extra),
		check(doorSession, "session", session),
	}
}

func onlyLoopback() error {
	text, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) != "lo" {
			return fmt.Errorf("there is an interface %s", strings.TrimSpace(name))
		}
	}
	return nil
}

// firstIsOurs makes sure that process 1 is the sandbox's and cannot be looked into.
func firstIsOurs() error {
	line, err := os.ReadFile("/proc/1/cmdline")
	words := strings.Split(string(line), "\x00")
	if err != nil || len(words) < 2 || !slices.Contains([]string{roleInit, roleSetup, roleReaper, roleReaperTTY}, words[1]) {
		return errors.New("process 1 is not the sandbox's")
	}
	if _, err := os.Readlink(path.Join("/proc/1/root")); err == nil {
		return errors.New("process 1 can be looked into")
	}
	return nil
}
