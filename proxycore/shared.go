// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// sharedSocket is a socket of which a sandbox may have kept a copy. Through it a
// hostile one can make the socket blocking, and then whoever works on it here is
// stuck in the kernel and Close waits for him. So closing also shuts the socket
// down, which nobody can be stuck on.
type sharedSocket struct{ io.Closer }

// Close shuts the socket down and closes it. A sandbox that listens on it again at
// once may be faster than whoever is to be woken, so it is shut down until it is closed.
func (s sharedSocket) Close() error {
	c, ok := s.Closer.(syscall.Conn)
	if !ok {
		return s.Closer.Close()
	}
	again, done := shutDown(c)
	if again == nil {
		return s.Closer.Close()
	}
	defer done()
	closed := make(chan error, 1)
	go func() { closed <- s.Closer.Close() }()
	tick := time.NewTicker(shutDownPause)
	defer tick.Stop()
	for {
		select {
		case err := <-closed:
			return err
		case <-tick.C:
			again()
		}
	}
}

// shutDownPause is how long a socket may take to close before it is shut down again.
const shutDownPause = time.Millisecond

// sharedListener is the same for a listener.
type sharedListener struct{ net.Listener }

// Accept takes from a connection what it has inherited of the listener's and could
// hold up who closes it here: with SO_LINGER, which a sandbox may set at any time,
// close(2) waits until the sandbox has taken everything, if it ever does.
func (l sharedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if t, ok := c.(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(-1) // an error is that of a connection which is gone
	}
	return c, nil
}

// Close shuts the listener down and closes it.
func (l sharedListener) Close() error { return sharedSocket{l.Listener}.Close() }

// SyscallConn is that of the listener itself.
func (l sharedListener) SyscallConn() (syscall.RawConn, error) {
	if c, ok := l.Listener.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, fmt.Errorf("proxycore: this listener has no socket: %w", errors.ErrUnsupported)
}
