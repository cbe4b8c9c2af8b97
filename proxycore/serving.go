// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"io"
	"net"
	"net/netip"
)

// source is whose connections they are: those of one listener, or of all the
// sockets of one sandbox. Limits count over it.
type source struct {
	o Listening // its Filter is guarded by Server.mu

	// Of a sandbox whose connections are captured; else nil.
	names    *namePool
	original func(net.Conn) (netip.AddrPort, error)
	only4    bool // nothing of it takes IPv6 connections
	refusals pacer

	// Guarded by Server.mu.
	served  int // as in Server, of these connections
	streams int // of those, the ones that carry DNS queries
}

// entry is what comes in through a socket.
type entry uint8

const (
	requests entry = iota // connections that send a request head
	captured              // connections that were on their way elsewhere
	queries               // DNS queries, over TCP or UDP
)

// serving is one socket in service: a listener, or one for UDP.
type serving struct {
	s *Server
	*source
	entry entry
	l     net.Listener // nil: u is set
	u     *net.UDPConn
	addr  netip.AddrPort // where this process could reach it; invalid if nowhere
	stop  chan struct{}  // closed when the socket must not be used any more

	closed bool // stop is closed. Guarded by s.mu.
}

// newServing prepares the service of a listener.
func (s *Server) newServing(src *source, e entry, l net.Listener) *serving {
	return &serving{s: s, source: src, entry: e, l: l, addr: listenAddr(l), stop: make(chan struct{})}
}

// socket is what ends the service when it is closed.
func (sv *serving) socket() io.Closer {
	if sv.l == nil {
		return sharedSocket{sv.u}
	}
	return sv.l
}

// String says for the log which socket it is.
func (sv *serving) String() string {
	if sv.l == nil {
		return "name server " + sv.u.LocalAddr().String()
	}
	return "listener " + sv.l.Addr().String()
}

// start puts sockets into service, all of them, or closes them.
func (s *Server) start(list ...*serving) error {
	s.mu.Lock()
	over := s.ended || s.draining
	if !over {
		for _, sv := range list {
			s.serving[sv] = struct{}{}
			if sv.addr.IsValid() {
				s.reachable[sv] = struct{}{}
			}
		}
	}
	s.mu.Unlock()
	if !over {
		return nil
	}
	for _, sv := range list {
		sv.socket().Close()
	}
	return ErrClosed
}

// retire ends the accounting of a socket that nobody serves any more.
func (s *Server) retire(sv *serving) {
	sv.socket().Close()
	s.mu.Lock()
	delete(s.serving, sv)
	delete(s.reachable, sv)
	s.notify()
	s.mu.Unlock()
}

// stopServing marks the sockets of the server, or only one source's, as stopped
// and returns those that are still to be closed. s.mu is held.
func (s *Server) stopServing(only *source) []io.Closer {
	var out []io.Closer
	for sv := range s.serving {
		if (only == nil || sv.source == only) && !sv.closed {
			sv.closed = true
			close(sv.stop)
			out = append(out, sv.socket())
		}
	}
	return out
}

func closeAll(sockets []io.Closer) {
	for _, c := range sockets {
		c.Close()
	}
}

// detach ends the sockets and connections of one source and waits for them.
func (s *Server) detach(src *source) {
	s.mu.Lock()
	sockets := s.stopServing(src)
	var cut []*conn
	for c := range s.conns {
		if c.sv.source == src {
			c.markCut("")
			cut = append(cut, c)
		}
	}
	s.mu.Unlock()
	closeAll(sockets)
	cutAll(cut)
	s.wait(context.Background(), src)
}
