// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package outside

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// groupsLive reports whether a process of the groups lives; one that is dead and not reaped does not.
func (f family) groupsLive() bool {
	if !slices.ContainsFunc(f.groups, func(g int) bool { return syscall.Kill(-g, 0) == nil }) {
		return false
	}
	for _, pid := range pids() {
		if group, live := status(pid); live && slices.Contains(f.groups, group) {
			return true
		}
	}
	return false
}

// members are the living processes of the family.
func (f family) members() map[int]bool {
	out := map[int]bool{}
	for _, pid := range pids() {
		group, live := status(pid)
		if live && (slices.Contains(f.groups, group) || f.marked(pid)) {
			out[pid] = true
		}
	}
	return out
}

func (f family) marked(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && slices.ContainsFunc(bytes.Split(env, []byte{0}), func(kv []byte) bool { return string(kv) == f.mark })
}

func pids() []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var out []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// status returns the process group, and whether the process is more than a zombie.
func status(pid int) (group int, live bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name is in parentheses and may hold anything.
	_, rest, _ := strings.Cut(string(text[max(0, bytes.LastIndexByte(text, ')')):]), " ")
	f := strings.Fields(rest)
	if len(f) < 3 {
		return 0, false
	}
	group, err = strconv.Atoi(f[2])
	return group, err == nil && f[0] != "Z" && f[0] != "X"
}

// listeners are the TCP sockets that listen on port (0: on any), by inode.
func listeners(port int) map[string]*net.TCPAddr {
	out := map[string]*net.TCPAddr{}
	for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			const listen = "0A"
			if len(f) < 10 || f[3] != listen {
				continue
			}
			if at := address(f[1]); at != nil && (port == 0 || at.Port == port) {
				out[f[9]] = at
			}
		}
	}
	return out
}

// address reads the kernel's notation: groups of four bytes, each in the byte order of a little-endian machine.
func address(text string) *net.TCPAddr {
	host, port, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(ip)%4 != 0 {
		return nil
	}
	for i := 0; i < len(ip); i += 4 {
		slices.Reverse(ip[i : i+4])
	}
	return &net.TCPAddr{IP: ip, Port: int(n)}
}

// owns reports whether one of the processes has one of the sockets open.
func owns(members map[int]bool, sockets map[string]*net.TCPAddr) bool {
	for pid := range members {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		fds, _ := os.ReadDir(dir)
		for _, fd := range fds {
			to, err := os.Readlink(dir + "/" + fd.Name())
			inode, isSocket := strings.CutPrefix(to, "socket:[")
			if err == nil && isSocket && sockets[strings.TrimSuffix(inode, "]")] != nil {
				return true
			}
		}
	}
	return false
}

// peer is the process that listens at the other end.
func peer(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *syscall.Ucred
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		cred, optErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if optErr != nil {
		return 0, optErr
	}
	return int(cred.Pid), nil
}
