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
	"strconv"
	"strings"
	"syscall"
)

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
		if s.uid == "" {
			return "a process that may not be inspected"
		}
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

// appendUnixSockets adds the listening Unix stream sockets of this network
// namespace that have a path.
func appendUnixSockets(all []socket) ([]socket, error) {
	raw, err := os.ReadFile("/proc/self/net/unix")
	if err != nil {
		return nil, fmt.Errorf("reading the table of Unix sockets (is /proc mounted?): %w", err)
	}
	return append(all, parseUnixSockets(string(raw))...), nil
}

// parseUnixSockets picks them out of /proc/net/unix (proc_net(5)): header line,
// then "num refcount protocol flags type state inode path". The path is the rest of
// the line, spaces included.
func parseUnixSockets(table string) []socket {
	const acceptsConnections, stream = 1 << 16, "0001" // __SO_ACCEPTCON, SOCK_STREAM
	var found []socket
	_, rows, _ := strings.Cut(table, "\n")
	for row := range strings.Lines(rows) {
		var fields [7]string
		rest := strings.TrimRight(row, "\n")
		for i := range fields {
			fields[i], rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		}
		flags, err := strconv.ParseUint(fields[3], 16, 64)
		if err != nil || flags&acceptsConnections == 0 || fields[4] != stream || rest == "" {
			continue
		}
		found = append(found, socket{path: rest, inode: fields[6]})
	}
	return found
}

// isAddrInUse reports whether err says that the address is taken.
func isAddrInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
