// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
)

// socket is one listening TCP socket of this network namespace.
type socket struct {
	local netip.AddrPort // unmapped; [::] and 0.0.0.0 for all addresses
	inode string
	uid   string
}

// listening finds out who listens where, for the child's port and, for exposure,
// on every port of the child's tree.
func (t *tree) listening(port int) (listening, error) {
	sockets, err := listeningSockets()
	if err != nil {
		return listening{}, err
	}
	busy := false
	for _, s := range sockets {
		busy = busy || int(s.local.Port()) == port
	}
	if !busy {
		return listening{}, nil
	}
	own, unseen := t.sockets()
	found := listening{unseen: unseen}
	for _, s := range sockets {
		switch {
		case !own[s.inode]:
		case !s.local.Addr().IsLoopback():
			found.exposed = s.local
		case int(s.local.Port()) == port && preferred(s.local, found.addr):
			found.addr = s.local
		}
	}
	if found.unseen && !found.addr.IsValid() {
		return found, nil // the listener may be the process we cannot see into
	}
	for _, s := range sockets {
		if int(s.local.Port()) == port && !own[s.inode] && competes(s.local.Addr(), found.addr) {
			found.stranger = owner(s)
		}
	}
	return found, nil
}

// preferred puts 127.0.0.1 before other IPv4 loopback addresses and these before ::1.
func preferred(candidate, best netip.AddrPort) bool {
	rank := func(a netip.Addr) int {
		switch {
		case a == netip.AddrFrom4([4]byte{127, 0, 0, 1}):
			return 0
		case a.Is4():
			return 1
		}
		return 2
	}
	return !best.IsValid() || rank(candidate.Addr()) < rank(best.Addr())
}

// competes reports whether a foreign listener at a could receive connections meant
// for the child at best, or keeps the child from binding while it listens nowhere.
func competes(a netip.Addr, best netip.AddrPort) bool {
	if a.IsUnspecified() {
		return true
	}
	if best.IsValid() {
		return a == best.Addr()
	}
	return a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || a == netip.IPv6Loopback()
}

// sockets returns the inodes of the sockets that the tree holds, and whether some
// process of the tree could not be looked into.
func (t *tree) sockets() (inodes map[string]bool, unseen bool) {
	t.mu.Lock()
	members := t.members()
	t.mu.Unlock()
	inodes = make(map[string]bool)
	for _, m := range members {
		held, err := heldSockets(m.pid)
		unseen = unseen || errors.Is(err, fs.ErrPermission)
		for _, inode := range held {
			inodes[inode] = true
		}
	}
	return inodes, unseen
}

// heldSockets lists the inodes of the sockets that process pid has open.
func heldSockets(pid int) ([]string, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var inodes []string
	for _, e := range entries {
		link, err := os.Readlink(dir + "/" + e.Name())
		if err != nil {
			continue // closed since
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes, nil
}

// owner names the process behind a socket as well as it can be seen from here. Of
// several it is the oldest: the others inherited the socket, some only until they exec.
func owner(s socket) string {
	var oldest procStat
	for pid, stat := range readAllStats() {
		if oldest.pid != 0 && stat.start >= oldest.start {
			continue
		}
		if held, _ := heldSockets(pid); slices.Contains(held, s.inode) {
			oldest = stat
		}
	}
	if oldest.pid == 0 {
		return fmt.Sprintf("a process of user id %s", s.uid)
	}
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", oldest.pid))
	return fmt.Sprintf("process %d (%s)", oldest.pid, strings.Map(printable, strings.TrimSpace(string(name))))
}

// listeningSockets reads the kernel's tables for this network namespace.
func listeningSockets() ([]socket, error) {
	var all []socket
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(path, "6") {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("reading the table of sockets (is /proc mounted?): %w", err)
		}
		sockets, err := parseSockets(string(raw))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, sockets...)
	}
	return all, nil
}

// parseSockets picks the listening sockets out of /proc/net/tcp or tcp6
// (proc_net(5)): header line, then "sl local remote state queues timer retransmits
// uid timeout inode …".
func parseSockets(table string) ([]socket, error) {
	const local, state, uid, inode = 1, 3, 7, 9
	const listen = "0A" // TCP_LISTEN
	var found []socket
	_, rows, _ := strings.Cut(table, "\n")
	for row := range strings.Lines(rows) {
		fields := strings.Fields(row)
		if len(fields) <= inode || fields[state] != listen {
			continue
		}
		addr, err := parseLocal(fields[local])
		if err != nil {
			return nil, err
		}
		found = append(found, socket{local: addr, inode: fields[inode], uid: fields[uid]})
	}
	return found, nil
}

// parseLocal decodes "0100007F:1F90": the address as 32-bit words in the machine's
// byte order, the port as a plain number.
func parseLocal(text string) (netip.AddrPort, error) {
	host, portText, ok := strings.Cut(text, ":")
	words, err := hex.DecodeString(host)
	port, portErr := hex.DecodeString(portText)
	if !ok || err != nil || portErr != nil || len(port) != 2 || len(words) != 4 && len(words) != 16 {
		return netip.AddrPort{}, fmt.Errorf("unknown address format %q", text)
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, _ := netip.AddrFromSlice(words)
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(port)), nil
}

// isAddrInUse reports whether err says that the address is taken.
func isAddrInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
