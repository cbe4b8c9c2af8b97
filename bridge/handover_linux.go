// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

const (
	// maxPassed bounds the descriptors in one message; the kernel takes 253 (SCM_MAX_FD).
	maxPassed = 64
	// maxEntrances bounds the entrances of one sandbox: a listener for each of as many
	// ports as there may be, the name server's, and the proxy's.
	maxEntrances = maxListeners + 8
)

// passEntrances sends all to the other end of sock, in as many messages as it takes,
// and closes them, also on an error.
func passEntrances(sock int, all []entrance) error {
	defer closeEntrances(all)
	for batch := range slices.Chunk(all, maxPassed) {
		fds := make([]int, len(batch))
		for i, e := range batch {
			fds[i] = e.fd
		}
		more := batch[len(batch)-1] != all[len(all)-1]
		if err := sendFDs(sock, message{Entrances: batch, More: more}, fds...); err != nil {
			return hostGone(err)
		}
	}
	return nil
}

// serveEntrances takes from the other end of c the entrances that w admits, checks them
// like anything from inside, and serves them through h. The caller answers the peer. An error of
// c itself, such as [io.EOF], needs no answer, but does no harm to answer.
// detach is to be called when the sandbox has ended; it returns when all is over.
func serveEntrances(c *net.UnixConn, w wish, h *proxycore.Handle, o proxycore.Listening) (detach func(), err error) {
	t := taker{wish: w}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	for more := true; more; {
		if more, err = t.take(c); err != nil {
			return nil, err
		}
	}
	if t.capture.Proxy == nil {
		return nil, errors.New("bridge: sandbox passed no listener for the proxy")
	}
	detach, err = h.Capture(t.capture, o)
	t.capture = proxycore.Capture{} // it is h's, also on an error
	if err != nil {
		return nil, fmt.Errorf("bridge: attach the sandbox to the proxy: %w", err)
	}
	return detach, nil
}

// taker collects the entrances of one sandbox.
type taker struct {
	wish
	capture proxycore.Capture
	taken   []entrance
	netns   uint64 // cookie of the sandbox's network namespace, once it is known
}

// close closes what has been taken.
func (t *taker) close() { _ = t.capture.Close() }

// take receives one message, and reports whether another is to follow.
func (t *taker) take(c *net.UnixConn) (more bool, err error) {
	m, fds, err := receiveFDs(c)
	defer closeForeign(fds) // what is kept is a duplicate
	switch {
	case err != nil:
		return false, err
	case len(fds) > maxPassed:
		return false, fmt.Errorf("bridge: sandbox passed more than %d descriptors at once", maxPassed)
	case len(fds) == 0 || len(fds) != len(m.Entrances):
		return false, fmt.Errorf("bridge: sandbox passed %d descriptors for %d sockets", len(fds), len(m.Entrances))
	case len(t.taken)+len(fds) > maxEntrances:
		return false, fmt.Errorf("bridge: sandbox passed more than %d sockets", maxEntrances)
	}
	for i, e := range m.Entrances {
		e.fd = fds[i]
		if err := t.check(e); err != nil {
			return false, fmt.Errorf("bridge: sandbox passed a socket for %.16q, port %d, that %w: refused", e.Kind, e.Port, err)
		}
		if err := t.keep(e); err != nil {
			return false, fmt.Errorf("bridge: use the sandbox's socket for %s, port %d: %w", e.Kind, e.Port, err)
		}
		t.taken = append(t.taken, e)
	}
	return m.More, nil
}

// check finds out whether e is wanted and what it says it is. Its error continues "a
// socket that".
func (t *taker) check(e entrance) error {
	if err := t.wanted(e); err != nil {
		return err
	}
	typ, protocol, accepts, family := unix.SOCK_STREAM, unix.IPPROTO_TCP, 1, unix.AF_INET
	if e.Kind == entranceDNSUDP {
		typ, protocol, accepts = unix.SOCK_DGRAM, unix.IPPROTO_UDP, 0
	}
	if e.IPv6 {
		family = unix.AF_INET6
	}
	for _, want := range []struct{ option, value int }{
		{unix.SO_DOMAIN, family}, {unix.SO_TYPE, typ}, {unix.SO_PROTOCOL, protocol}, {unix.SO_ACCEPTCONN, accepts},
	} {
		if got, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, want.option); err != nil || got != want.value {
			return errors.New("is of another kind or does not listen")
		}
	}
	sa, err := unix.Getsockname(e.fd)
	if err != nil {
		return fmt.Errorf("has no address (%w)", err)
	}
	if !sameAddress(sa, e.address()) {
		return errors.New("is bound to another address or port")
	}
	return t.checkForeign(e.fd)
}

// wanted reports why the host does not want e: because it did not ask for it, or has it.
func (t *taker) wanted(e entrance) error {
	asked, once := false, true // once: one of the kind and family is enough
	switch e.Kind {
	case entranceProxy:
		asked = !e.IPv6 && (t.Port == 0 || t.Port == int(e.Port))
	case entranceTCP:
		asked, once = t.Transparent && includesPort(t.Capture, e.Port), false
	case entranceRedirect:
		asked = t.Transparent
	case entranceDNSUDP, entranceDNSTCP:
		asked = t.Transparent && e.Port == dnsPort
	}
	if !asked || e.Port == 0 {
		return errors.New("nobody asked for")
	}
	for _, o := range t.taken {
		if o.Kind == e.Kind && o.IPv6 == e.IPv6 && (once || o.Port == e.Port) {
			return errors.New("was passed before")
		}
		if o.Kind == entranceTCP && e.Kind == entranceRedirect || o.Kind == entranceRedirect && e.Kind == entranceTCP {
			return errors.New("goes about capturing in another way than one before it")
		}
	}
	return nil
}

// sameAddress compares what sockets are bound to.
func sameAddress(a, b unix.Sockaddr) bool {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		b, ok := b.(*unix.SockaddrInet4)
		return ok && a.Addr == b.Addr && a.Port == b.Port
	case *unix.SockaddrInet6:
		b, ok := b.(*unix.SockaddrInet6)
		return ok && a.Addr == b.Addr && a.Port == b.Port && a.ZoneId == b.ZoneId
	}
	return false
}

// checkForeign refuses a socket of this process's own network namespace, and one
// of another than those before it. A kernel before 5.14 has no cookies; there the check
// that our own process made inside must do, and nobody else's socket is taken.
func (t *taker) checkForeign(fd int) error {
	const unknown = "is in a network namespace that cannot be told (%w)"
	theirs, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if errors.Is(err, unix.ENOPROTOOPT) && !t.untrusted {
		return nil
	}
	if err != nil {
		return fmt.Errorf(unknown, err)
	}
	if t.netns == theirs && len(t.taken) > 0 {
		return nil
	}
	own, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf(unknown, err)
	}
	defer unix.Close(own)
	ours, err := unix.GetsockoptUint64(own, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	switch {
	case err != nil:
		return fmt.Errorf(unknown, err)
	case ours == theirs:
		return errors.New("is in the host's own network namespace, and not in one that has no network " +
			"(docker run --network none, bwrap --unshare-net)")
	case len(t.taken) > 0:
		return errors.New("is in another network namespace than one before it")
	}
	t.netns = theirs
	return nil
}

// keep puts a duplicate of e's socket into the capture. The descriptor stays the caller's to close.
func (t *taker) keep(e entrance) error {
	fd, err := unix.FcntlInt(uintptr(e.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "entrance")
	defer f.Close() // package net duplicates it once more
	if e.Kind == entranceDNSUDP {
		p, err := net.FilePacketConn(f)
		if err != nil {
			return err
		}
		t.capture.Queries = append(t.capture.Queries, p.(*net.UDPConn)) // it was checked to be one
		return nil
	}
	l, err := net.FileListener(f)
	if err != nil {
		return err
	}
	switch e.Kind {
	case entranceProxy:
		t.capture.Proxy = l
	case entranceDNSTCP:
		t.capture.QueryStreams = append(t.capture.QueryStreams, l)
	case entranceRedirect:
		t.capture.Original = originalDestination
		fallthrough
	default:
		t.capture.Connections = append(t.capture.Connections, l)
	}
	return nil
}
