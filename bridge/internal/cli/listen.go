// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// listenAddr is a parsed --listen.
type listenAddr struct {
	host string // an IP address
	port int    // 0: any; negative: no TCP listener
}

// listenAt parses --listen. An address that other machines can reach must be
// confirmed: the proxy asks nobody for credentials, so whoever reaches it may use it.
func listenAt(value string, remote bool) (listenAddr, error) {
	if value == "none" {
		return listenAddr{port: -1}, nil
	}
	host, digits, err := net.SplitHostPort(value)
	if err != nil {
		return listenAddr{}, fmt.Errorf("--listen %q is not ADDR:PORT; write one such as 127.0.0.1:8080, [::1]:8080, or none", value)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || strings.Trim(digits, "0123456789") != "" {
		return listenAddr{}, fmt.Errorf("--listen %q: the port is not a number from 0 to 65535", value)
	}
	switch host {
	case "localhost":
		host = "127.0.0.1"
	case "":
		return listenAddr{}, fmt.Errorf("--listen %q has no address; write 127.0.0.1:%s, or 0.0.0.0:%s with --allow-remote", value, digits, digits)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return listenAddr{}, fmt.Errorf("--listen %q: %q is not an IP address; write one such as 127.0.0.1:%s", value, host, digits)
	}
	if !addr.Unmap().IsLoopback() && !remote {
		return listenAddr{}, fmt.Errorf("--listen %q is reachable from other machines, and the proxy asks nobody for credentials; write 127.0.0.1:%s, or add --allow-remote if this is meant", value, digits)
	}
	return listenAddr{host, int(port)}, nil
}
