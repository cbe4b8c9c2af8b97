// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"io"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What follows urgent data arrives without waiting for more.
func TestBytesBehindUrgentData(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		if network == "unix" {
			return // it has no urgent data
		}
		w := start(t, network, o)
		const many = 150 << 10
		w.client.Write(make([]byte, many))
		raw, _ := w.client.(syscall.Conn).SyscallConn()
		raw.Control(func(fd uintptr) {
			syscall.Sendto(int(fd), []byte("before"), 0, nil)
			unix.Send(int(fd), []byte("u"), unix.MSG_OOB)
			syscall.Sendto(int(fd), []byte("behind"), 0, nil)
		})
		w.origin.SetReadDeadline(time.Now().Add(2 * time.Second))
		b := make([]byte, many+12)
		if n, err := io.ReadFull(w.origin, b); err != nil {
			t.Errorf("the origin got %d, %v", n, err)
		}
	})
}
