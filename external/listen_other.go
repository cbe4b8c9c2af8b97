// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package external

import (
	"net"
	"net/netip"
	"strconv"
	"time"
)

// dialLimit bounds one attempt; loopback answers at once or not at all.
const dialLimit = 250 * time.Millisecond

// listening asks whether anything answers on the port. Who it is and where else it
// listens cannot be told here; that the child is alive, awaitReady checks.
func (t *tree) listening(port int) (listening, error) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), dialLimit)
		if err == nil {
			conn.Close()
			return listening{addr: netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port))}, nil
		}
	}
	return listening{}, nil
}
