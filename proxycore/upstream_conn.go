// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"crypto/tls"
	"io"
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
	raw     *rawConn
	writing sync.Mutex // held by whoever sends
}

func newTLSConn(conn net.Conn, cfg *tls.Config) *tlsConn {
	raw := &rawConn{Conn: conn}
	return &tlsConn{Conn: tls.Client(raw, cfg), raw: raw}
}

// rawConn is what TLS runs over. Its deadlines are not for tls.Conn to set.
type rawConn struct {
	net.Conn
	ended bool // its stream has; belongs to whoever reads
}

// SetDeadline does nothing.
func (*rawConn) SetDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (*rawConn) SetWriteDeadline(time.Time) error { return nil }

// Read is the connection's.
func (c *rawConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.ended = c.ended || err == io.EOF
	return n, err
}

// Read is tls.Conn's, but for a stream that ends without a close_notify. tls.Conn
// takes that for the end if it is between two records. It may be anybody's doing
// (RFC 8446 section 6.1).
func (c *tlsConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == io.EOF && c.raw.ended {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

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
	if l, ok := c.raw.Conn.(interface{ SetLinger(int) error }); ok && reset {
		l.SetLinger(0)
	}
	if reset || !c.writing.TryLock() {
		c.raw.Close()
		return
	}
	defer c.writing.Unlock()
	c.raw.Conn.SetWriteDeadline(time.Now().Add(closeNotifyTime))
	c.Conn.CloseWrite() // an error before the handshake, nothing after the first time
	closeOrderly(c.raw.Conn)
}

// Close is Cut without a reset.
func (c *tlsConn) Close() error {
	c.Cut(false)
	return nil
}
