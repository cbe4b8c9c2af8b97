// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package proxycore

import "golang.org/x/sys/unix"

const (
	// reservedDescriptors is left to the rest of the process: listeners, files,
	// name lookups, the relay's pipes and connections that are being refused.
	reservedDescriptors = 384
	// mostConns is the default where the descriptor limit is not one.
	mostConns = 1 << 18
)

// defaultMaxConns is how many connections fit the process's descriptor limit
// when each has a tunnel, that is, two descriptors.
func defaultMaxConns() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 256
	}
	cur := min(uint64(limit.Cur), 2*mostConns)
	if cur < 2*reservedDescriptors {
		return max(1, int(cur)/4)
	}
	return int(cur-reservedDescriptors) / 2
}
