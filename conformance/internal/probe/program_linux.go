// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// inherited is taken before anything of this process can have opened a descriptor of its own, and with
// system calls alone, since package os would open one for its poller.
var inherited = listDescriptors()

func listDescriptors() []string {
	if len(os.Args) < 3 || os.Args[1] != Argument {
		return nil
	}
	return Descriptors()
}

// Descriptors are the open ones above 2, with what they lead to, but for those of Go's runtime.
func Descriptors() []string {
	var out []string
	for fd := 3; fd < 1024; fd++ {
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0); errno != 0 {
			continue
		}
		buf := make([]byte, 256)
		n, err := syscall.Readlink("/proc/self/fd/"+strconv.Itoa(fd), buf)
		if err != nil {
			n = copy(buf, err.Error())
		}
		what := string(buf[:n])
		// Go's runtime keeps the processor limit of its control group open, and its poller.
		if strings.HasPrefix(what, "/sys/fs/cgroup/") || what == "anon_inode:[eventpoll]" || what == "anon_inode:[eventfd]" {
			continue
		}
		out = append(out, fmt.Sprintf("%d -> %s", fd, what))
	}
	return out
}

// look fills in what only Linux has.
func look(r *Report) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range bytes.Lines(status) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "CapInh", "CapPrm", "CapEff", "CapAmb":
			if strings.Trim(value, "0") != "" {
				r.Capabilities = append(r.Capabilities, name+"="+value)
			}
		case "NoNewPrivs":
			r.NoNewPrivs = value == "1"
		}
	}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && len(line) > 0 {
			r.Processes = append(r.Processes, CommandLine(line))
		}
	}
}

// endUnread ends the process once nobody can read its standard output any more, so that a suite which is killed leaves
// no probe behind, not even in a sandbox at fault. It is the only tie that leads to the suite itself: death with the
// parent would be death with the sandbox, and that is what the sandbox is tested for. A check that looks for a
// process left behind looks at the same pipe, so what ends here was out of its sight already.
func endUnread() {
	poller, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	// No event is asked for; the kernel reports EPOLLERR, a pipe without a reader, and EPOLLHUP, a socket
	// without one, all the same. Files and devices
	// cannot be waited for, and are not waited for.
	if err := syscall.EpollCtl(poller, syscall.EPOLL_CTL_ADD, 1, &syscall.EpollEvent{Fd: 1}); err != nil {
		return
	}
	for {
		events := make([]syscall.EpollEvent, 1)
		n, err := syscall.EpollWait(poller, events, -1)
		if n > 0 && events[0].Events&(syscall.EPOLLERR|syscall.EPOLLHUP) != 0 {
			os.Exit(unread)
		}
		if err != nil && err != syscall.EINTR {
			return
		}
	}
}

// unread is the status of a probe nobody listens to, for whoever reads the log of a sandbox.
const unread = 98

func killSelf(signal int) error {
	if err := syscall.Kill(os.Getpid(), syscall.Signal(signal)); err != nil {
		return err
	}
	block()
	return nil
}

func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// tryRaw opens the sockets that could speak past TCP and UDP.
func tryRaw() Result {
	for _, s := range []struct {
		name               string
		family, kind, prot int
	}{
		{"raw ICMP", syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP},
		{"raw TCP", syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_TCP},
		{"packet", syscall.AF_PACKET, syscall.SOCK_RAW, 0x0300},
	} {
		if fd, err := syscall.Socket(s.family, s.kind, s.prot); err == nil {
			syscall.Close(fd)
			return Result{Done: true, Detail: "a " + s.name + " socket could be made"}
		}
	}
	return Result{Detail: "refused"}
}

// tryConfigure adds a default route and an address over netlink.
func tryConfigure() Result {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, syscall.NETLINK_ROUTE)
	if err != nil {
		return failed(err)
	}
	defer syscall.Close(fd)
	// RTM_NEWADDR: 10.99.99.99/32 on interface 1, the loopback device.
	msg := []byte{
		32, 0, 0, 0, 20, 0, 5, 6, 1, 0, 0, 0, 0, 0, 0, 0,
		2, 32, 0, 0, 1, 0, 0, 0,
		8, 0, 2, 0, 10, 99, 99, 99,
	}
	if err := syscall.Sendto(fd, msg, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return failed(err)
	}
	buf := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(fd, buf, 0)
	if err != nil || n < 20 {
		return failed(errors.Join(err, errors.New("no answer")))
	}
	code := int32(uint32(buf[16]) | uint32(buf[17])<<8 | uint32(buf[18])<<16 | uint32(buf[19])<<24)
	if code != 0 {
		return failed(syscall.Errno(-code))
	}
	return Result{Done: true, Detail: "an address was added"}
}
