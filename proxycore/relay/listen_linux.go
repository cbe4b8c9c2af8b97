// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listener accepts connections for the loops. A loop does that for it, or else it waits
// for them in Go's network poller.
type listener struct {
	addr net.Addr

	mu   sync.Mutex // held by the loop while it accepts, and by whoever closes
	fd   int        // -1 when closed, and when the file has it
	file *os.File   // nil before the first Accept
	raw  syscall.RawConn
	l    *loop // nil unless it is served by one
	each func(net.Conn)
	over func()

	// What look got; of the goroutine in Accept.
	look func(fd uintptr) bool
	got  int
	peer syscall.Sockaddr
	err  error
}

var (
	_ syscall.Conn = (*listener)(nil)
	_ Acceptor     = (*listener)(nil)
)

func listen(l net.Listener) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return l
	}
	fd := duplicate(raw)
	if fd < 0 {
		return l
	}
	tcp.Close()
	// What is accepted inherits the options. A sandbox may share this socket and hold up whoever
	// sets one, so the scheduler is told.
	for _, o := range append(keepAlive[:], noDelay) {
		unix.SetsockoptInt(fd, o[0], o[1], o[2]) // nothing is lost where one is not known
	}
	return &listener{addr: l.Addr(), fd: fd}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

// Serve implements [Acceptor].
func (l *listener) Serve(each func(net.Conn), over func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 || l.l != nil {
		return net.ErrClosed
	}
	loop, err := useLoop(nil)
	if err != nil {
		return err
	}
	l.l, l.each, l.over = loop, each, over
	if err := loop.add(l.fd, unix.EPOLLIN|unix.EPOLLET, l); err != nil {
		l.l = nil
		go leaveLoops(1)
		return err
	}
	return nil
}

// ready accepts what there is, for a loop.
func (l *listener) ready(by *loop, _ uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range fairShare {
		if l.l == nil {
			return
		}
		fd, peer, err := accept(l.fd)
		switch err {
		case nil:
			c, err := newSock(fd, peer, nil, true, false)
			if err != nil {
				l.leave()
				return
			}
			l.each(c)
		case unix.EAGAIN:
			return
		case unix.EINTR, unix.ECONNABORTED:
		default:
			l.leave()
			return
		}
	}
	by.again = append(by.again, l)
}

// keepAlive implements watched: it is so from the start.
func (l *listener) keepAlive() {}

// leave takes the listener from its loop and has somebody else go on. l.mu is held.
func (l *listener) leave() {
	unix.EpollCtl(l.l.fd, unix.EPOLL_CTL_DEL, l.fd, nil)
	l.l.replace(l.fd, nil)
	l.l = nil
	go func() {
		leaveLoops(1)
		l.over()
	}()
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.file != nil:
		return l.file.Close()
	case l.fd < 0:
		return net.ErrClosed
	case l.l != nil:
		l.leave()
	}
	fd := l.fd
	l.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// SyscallConn implements syscall.Conn.
func (l *listener) SyscallConn() (syscall.RawConn, error) { return rawListener{l}, nil }

// rawListener gives others the descriptor, for options of it.
type rawListener struct{ l *listener }

// Control implements syscall.RawConn.
func (r rawListener) Control(f func(fd uintptr)) error {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	switch {
	case r.l.file != nil:
		return r.l.raw.Control(f)
	case r.l.fd < 0:
		return net.ErrClosed
	}
	f(uintptr(r.l.fd))
	return nil
}

// Read implements syscall.RawConn. Nobody needs it.
func (r rawListener) Read(func(uintptr) bool) error { return syscall.ENOTSUP }

// Write implements syscall.RawConn. Nobody needs it.
func (r rawListener) Write(func(uintptr) bool) error { return syscall.ENOTSUP }

// wait has Go's network poller take care of the listener.
func (l *listener) wait() (syscall.RawConn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		return l.raw, nil
	}
	if l.fd < 0 {
		return nil, net.ErrClosed
	}
	unix.SetNonblock(l.fd, true)
	file := os.NewFile(uintptr(l.fd), "listener")
	raw, err := file.SyscallConn()
	if err == nil {
		// Whoever shares it can have made it blocking just now: then the poller has not
		// taken it, and Close would not wait for Accept.
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		l.fd = -1
		file.Close()
		return nil, err
	}
	l.file, l.raw, l.fd, l.look = file, raw, -1, l.accept4
	return raw, nil
}

func (l *listener) accept4(fd uintptr) bool {
	l.got, l.peer, l.err = syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	return l.err != unix.EAGAIN
}

// Accept implements net.Listener. It is called by one goroutine only.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.wait()
	if err == nil {
		err = error(net.ErrClosed)
		if raw.Read(l.look) == nil {
			err = os.NewSyscallError("accept4", l.err)
		}
	}
	var c *sock
	if err == nil {
		c, err = newSock(l.got, addrPort(l.peer), nil, true, false)
	}
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
	}
	return c, nil
}
