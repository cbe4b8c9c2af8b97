// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

const (
	// settleTimeout bounds settle: what a dead proxy left behind is ended before its death is told.
	settleTimeout = 5 * time.Second
	// answerTimeout bounds the wait for a connection on this host, which takes microseconds.
	answerTimeout = time.Second
)

// settle waits, when the command has ended, for the report of a death that is under way. A command
// that loses its network may end faster than it is known that the external proxy died: the kernel
// closes a process's sockets, the one it listens on first, before it tells the parent. So
// the proxy is asked for a connection, which nobody takes from then on.
func (b *backend) settle(h *proxycore.Handle) {
	if h.Ready() == nil && b.answers() {
		return
	}
	timer := time.NewTimer(settleTimeout)
	defer timer.Stop()
	select {
	case <-h.Done():
	case <-timer.C: // it lives, and takes no connections: the log has what came of that
	}
}

// answers reports whether the proxy that was started takes connections. One that somebody else
// started may come and go.
func (b *backend) answers() bool {
	if !b.started {
		return true
	}
	network, addr := "tcp", b.behind.Addr()
	if addr == "" {
		network, addr = "unix", b.behind.SocketPath()
	}
	c, err := net.DialTimeout(network, addr, answerTimeout)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
