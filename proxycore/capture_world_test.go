// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// sandbox is a capture whose sockets are all in this process's own namespace.
// Where its connections were going is what the test says.
type sandbox struct {
	*world
	proxy, connections, streams net.Listener
	destination                 atomic.Pointer[netip.AddrPort]
	detach                      func()
}

// capture hands over the sockets of a new sandbox.
func (w *world) capture(o Listening) *sandbox {
	w.t.Helper()
	s := &sandbox{world: w, proxy: listen(w.t), connections: listen(w.t), streams: listen(w.t)}
	detach, err := w.h.Capture(s.sockets(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	s.detach = detach
	w.t.Cleanup(detach)
	return s
}

// dual is a listener that says that it takes both families.
type dual struct{ *net.TCPListener }

func (d dual) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv6unspecified, Port: d.TCPListener.Addr().(*net.TCPAddr).Port}
}

func (s *sandbox) sockets() Capture {
	return Capture{
		Proxy:        s.proxy,
		Connections:  []net.Listener{dual{s.connections.(*net.TCPListener)}},
		QueryStreams: []net.Listener{s.streams},
		Original: func(net.Conn) (netip.AddrPort, error) {
			ap := s.destination.Load()
			if ap == nil {
				return netip.AddrPort{}, errors.New("unknown")
			}
			return *ap, nil
		},
	}
}

// goTo says where the captured connections from now on are going.
func (s *sandbox) goTo(to string) {
	if to != "" {
		ap := netip.MustParseAddrPort(to)
		s.destination.Store(&ap)
	}
}

// connect makes a captured connection to an IP:port. The next one must not be made
// before this one has been judged.
func (s *sandbox) connect(to string) *client {
	s.t.Helper()
	s.goTo(to)
	return dialProxy(s.t, s.connections.Addr().String())
}

// refused makes a captured connection that is reset, at once or while it is made.
func (s *sandbox) refused(to string) {
	s.t.Helper()
	s.goTo(to)
	c, err := net.Dial("tcp", s.connections.Addr().String())
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(promptly))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		s.t.Errorf("a captured connection to %s: %v, want a reset", to, err)
	}
}

// captured makes a captured connection that is admitted, with the origin's end. A
// byte has come through: the origin's accept says only that it was dialled.
func (s *sandbox) captured(to string) (*client, *net.TCPConn) {
	s.t.Helper()
	c, o := s.connect(to), s.accept()
	io.WriteString(o, "!")
	expect(s.t, c.r, "!")
	return c, o
}

// lookUp asks for a name over TCP and gives what matters of the reply.
func (s *sandbox) lookUp(name string, typ dnsmessage.Type) string {
	s.t.Helper()
	c := dialProxy(s.t, s.streams.Addr().String())
	defer c.Close()
	c.send(framed(ask(s.t, name, typ, nil)))
	return summary(s.t, readFramed(s.t, c.r))
}

// framed puts a message behind its length.
func framed(msg []byte) string {
	return string([]byte{byte(len(msg) >> 8), byte(len(msg))}) + string(msg)
}

func readFramed(t testing.TB, r io.Reader) []byte {
	t.Helper()
	size := make([]byte, 2)
	if _, err := io.ReadFull(r, size); err != nil {
		t.Fatalf("read a reply's length: %v", err)
	}
	msg := make([]byte, int(size[0])<<8|int(size[1]))
	if _, err := io.ReadFull(r, msg); err != nil {
		t.Fatalf("read a reply: %v", err)
	}
	return msg
}

// expectReset reads a reset, without a byte before it.
func expectReset(t testing.TB, c *client) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d, %v; want a reset", n, err)
	}
}

// expectClosed says that a socket given to the proxy is closed.
func expectClosed(t testing.TB, what string, l net.Listener) {
	t.Helper()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(promptly))
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%s: %v, want a closed listener", what, err)
	}
}
