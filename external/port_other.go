// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package external

import "net"

// holdFree asks the kernel for a free port. It is not held: whether a bound socket
// lets the child bind too differs between systems.
func holdFree() (port int, give func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil, nil
}

func holdFixed(int) (give func()) { return nil }
