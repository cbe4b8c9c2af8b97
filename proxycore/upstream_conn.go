// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// closeNotifyTime is what a close_notify may take when a tunnel is cut. It hardly
// ever takes any: only when the peer has stopped reading and its buffers are full.
const closeNotifyTime = 50 * time.Millisecond

// tlsConn is a TLS connection that a relay can end at any time. A tls.Conn cannot
// be half-closed while another goroutine is stuck in Write, and gives up after 5 s
// on a peer that is slow to take the close_notify.
type tlsConn struct {
	*tls.Conn
	raw     net.Conn
	writing sync.Mutex // held by whoever sends
}

func newTLSConn(raw net.Conn, cfg *tls.Config) *tlsConn {
	return &tlsConn{Conn: tls.Client(undated{raw}, cfg), raw: raw}
}

// undated is a connection whose deadlines are not for tls.Conn to set.
type undated struct{ net.Conn }

func (undated) SetDeadline(time.Time) error      { return nil }
func (undated) SetWriteDeadline(time.Time) error { return nil }

// Write is tls.Conn's.
func (c *tlsConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Conn.Write(b)
}

// CloseWrite sends the close_notify, after which the peer may still send.
func (c *tlsConn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Conn.CloseWrite()
}

// Cut ends the connection at once. With reset there is no close_notify: the peer
// must not take what it has for the whole.
func (c *tlsConn) Cut(reset bool) {
	if l, ok := c.raw.(interface{ SetLinger(int) error }); ok && reset {
		l.SetLinger(0)
	}
	if reset || !c.writing.TryLock() {
		c.raw.Close()
		return
	}
	defer c.writing.Unlock()
	c.raw.SetWriteDeadline(time.Now().Add(closeNotifyTime))
	c.Conn.CloseWrite() // an error before the handshake, nothing after the first time
	closeOrderly(c.raw)
}

// Close is Cut without a reset.
func (c *tlsConn) Close() error {
	c.Cut(false)
	return nil
}
