// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// Bounds of the pause after an accept error that may pass.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// overLimit bounds the connections beyond a limit that are kept open for a moment
// so that their 503 can be read. They take no place of those that are served.
const overLimit = 64

// Serve accepts connections of l and serves them until l fails or the server
// ends. It owns l and has closed it when it returns; connections accepted by
// then go on. Any number of listeners can be served at once.
//
// It returns nil after Close and Shutdown, ErrClosed if the server had ended
// before, the server's Err if that is why it ended, and otherwise what is wrong
// with l. A shortage of descriptors or a connection that was gone before it was
// accepted is waited out, not returned.
func (s *Server) Serve(l net.Listener, o Listening) error {
	sv, err := s.addListener(l, o)
	if err != nil {
		return err
	}
	return s.accept(sv)
}

// attach is Serve in a goroutine of its own.
func (s *Server) attach(l net.Listener, o Listening) (detach func(), err error) {
	sv, err := s.addListener(l, o)
	if err != nil {
		return nil, err
	}
	go s.accept(sv) // the error is logged there, and the server's own by fail
	return func() { s.detach(sv.source) }, nil
}

// addListener puts l into service, or closes it.
func (s *Server) addListener(l net.Listener, o Listening) (*serving, error) {
	sv := s.newServing(&source{o: o}, requests, l)
	return sv, s.start(sv)
}

// accept is the accept loop of one listener.
func (s *Server) accept(sv *serving) error {
	defer s.retire(sv)
	err := acceptLoop(sv.l, sv.stop, s.log, func(c net.Conn) { s.admit(sv, c) })
	if err == nil {
		return s.Err()
	}
	s.log.Error("a listener ends", "listener", sv.l.Addr().String(), "sandbox", sv.o.Name, "err", err)
	return err
}

// acceptLoop hands every accepted connection to each until stop is closed, which
// gives nil, or l fails for good.
func acceptLoop(l net.Listener, stop <-chan struct{}, log *slog.Logger, each func(net.Conn)) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			each(c)
			continue
		case isClosed(stop):
			return nil
		case !passing(err):
			return fmt.Errorf("proxycore: accept on %s: %w", l.Addr(), err)
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		log.Warn("cannot accept, trying again", "listener", l.Addr().String(), "pause", pause, "err", err)
		sleep(pause, stop)
	}
}

// sleep waits, but not longer than until stop is closed.
func sleep(pause time.Duration, stop <-chan struct{}) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	}
}

// isClosed reports whether c has been closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// passing reports whether an accept error is about a shortage that may pass or
// about one connection, and not about the listener.
func passing(err error) bool {
	for _, e := range passingErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit starts to serve an accepted connection.
func (s *Server) admit(sv *serving, client net.Conn) {
	c := newConn(sv, client)
	s.mu.Lock()
	if s.ended || s.draining || sv.closed {
		s.mu.Unlock()
		drop(client)
		return
	}
	s.conns[c] = struct{}{}
	if s.release == nil {
		s.release = relay.Keep()
	}
	c.refused = s.served >= s.cfg.MaxConns || sv.o.MaxConns > 0 && sv.served >= sv.o.MaxConns ||
		sv.entry == queries && sv.streams >= maxStreams
	s.count(c, 1)
	mayLinger := s.refused <= overLimit
	s.mu.Unlock()
	switch {
	case c.refused:
		go c.serveOverLimit(mayLinger)
	case sv.entry == captured:
		go c.serveCaptured()
	case sv.entry == queries:
		go c.serveQueries()
	default:
		c.begin()
	}
}

// drop closes a connection that was accepted too late. A loop may have accepted it.
func drop(client net.Conn) {
	if p, ok := client.(relay.Prompt); ok {
		p.Drop()
		return
	}
	client.Close()
}

// count adds n, 1 or -1, to what c counts against. s.mu is held.
func (s *Server) count(c *conn, n int) {
	if c.refused {
		s.refused += n
		return
	}
	s.served += n
	c.sv.served += n
	if c.sv.entry == queries {
		c.sv.streams += n
	}
}

// forget ends the accounting of a connection that is over. s.mu is held.
func (s *Server) forget(c *conn) {
	delete(s.conns, c)
	s.count(c, -1)
	s.notify()
}

// commonPassingErrors are those of every system: shortages, and what accept(2)
// says of one connection.
var commonPassingErrors = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EPROTO, syscall.EAGAIN,
	syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENOPROTOOPT,
}
