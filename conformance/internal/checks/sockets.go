// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
)

// socketsTo lists the connected TCP sockets of this network whose peer is port 443 of addr, those in
// TIME_WAIT apart: they belong to no process any more.
func socketsTo(addr netip.Addr) []string {
	const timeWait = "06"
	var out []string
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] == timeWait || !strings.HasSuffix(f[2], ":01BB") {
				continue
			}
			if peer, ok := procAddr(strings.TrimSuffix(f[2], ":01BB")); ok && peer == addr {
				out = append(out, f[1]+" > "+f[2]+" state "+f[3])
			}
		}
	}
	return out
}

// procAddr reads an address of /proc/net/tcp: hexadecimal words of four bytes in the byte order of the
// machine, which is little-endian wherever this runs.
func procAddr(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	a, ok := netip.AddrFromSlice(b)
	return a.Unmap(), ok
}
