// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// served listens and has a loop accept. over is closed when it does so no more.
func served(t *testing.T) (l Acceptor, conns chan Prompt, over chan struct{}) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = Listener(tcp).(Acceptor)
	conns, over = make(chan Prompt, 100), make(chan struct{})
	if err := l.Serve(func(c net.Conn) { conns <- c.(Prompt) }, func() { close(over) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Cleanup(Keep())
	return l, conns, over
}

// called knocks on a served listener and gives both ends.
func called(t *testing.T, l Acceptor, conns chan Prompt) (far net.Conn, c Prompt) {
	t.Helper()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	c = <-conns
	t.Cleanup(func() { c.Close() })
	return far, c
}

// awaited gives a channel that is closed when c has something to say.
func awaited(t *testing.T, c Prompt) chan struct{} {
	t.Helper()
	arrived := make(chan struct{})
	if !c.Await(func() { close(arrived) }) {
		t.Error("there is nothing to be read, but Await says so")
		close(arrived)
	}
	return arrived
}

// More connections than a loop accepts in one turn are all accepted.
func TestServe(t *testing.T) {
	t.Parallel()
	l, conns, over := served(t)
	const many = 5 * fairShare
	for range many {
		far, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
	}
	for range many {
		defer (<-conns).Close()
	}
	if err := l.Close(); err != nil {
		t.Errorf("close = %v", err)
	}
	<-over
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close = %v, want net.ErrClosed", err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("close after close = %v, want net.ErrClosed", err)
	}
}

// What goes wrong with a listener, Accept says.
func TestServeFails(t *testing.T) {
	t.Parallel()
	l, _, over := served(t)
	raw, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }); err != nil {
		t.Fatal(err)
	}
	<-over
	if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("accept = %v, want EINVAL", err)
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	l, conns, _ := served(t)
	buf := make([]byte, 10)

	far, c := called(t, l, conns)
	arrived := awaited(t, c)
	if n := c.TryRead(buf); n != 0 {
		t.Errorf("%d bytes were read before any was sent", n)
	}
	io.WriteString(far, "hello")
	<-arrived
	if n := c.TryRead(buf); string(buf[:n]) != "hello" {
		t.Errorf("read %q", buf[:n])
	}
	if !c.TryWrite([]byte("there")) {
		t.Error("five bytes could not be written")
	}
	if n, err := io.ReadFull(far, buf[:5]); string(buf[:n]) != "there" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if c.Await(func() { t.Error("called although Await was false") }) {
		t.Error("Await is true although something came already")
	}

	_, late := called(t, l, conns)
	late.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	<-awaited(t, late)
	if _, err := late.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read = %v, want a time out", err)
	}

	_, closed := called(t, l, conns)
	arrived = awaited(t, closed)
	closed.Close()
	<-arrived
	if n := closed.TryRead(buf); n != 0 || closed.TryWrite(buf) || closed.Await(nil) {
		t.Error("a closed connection can be used")
	}

	gone, ended := called(t, l, conns)
	arrived = awaited(t, ended)
	gone.Close()
	<-arrived
	if n, err := ended.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("read = %d, %v; want the end", n, err)
	}
}

func TestBegin(t *testing.T) {
	t.Parallel()
	l, conns, _ := served(t)
	to := l.Addr().(*net.TCPAddr).AddrPort()
	c, done, err := Begin(to, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !done {
		if c, err = Finish(t.Context(), c, 0); err != nil {
			t.Fatal(err)
		}
	}
	defer c.Close()
	(<-conns).Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read = %v, want the end", err)
	}
	l.Close()
	if _, done, err := Begin(to, c); !done || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("to a closed port: %v, %v; want a refusal at once", done, err)
	}
	if c, done, err := Begin(netip.MustParseAddrPort("[fe80::1%lo]:1"), nil); c != nil || done || err != nil {
		t.Errorf("to an address with a zone: %v, %v, %v; want it left to Dial", c, done, err)
	}
}

// A dialled connection looks after its peer once it has lived for a while, whoever has its
// descriptor by then, and an accepted one from the start.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	l, conns, _ := served(t)
	kept := func(fd int) bool {
		t.Helper()
		on, err1 := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		idle, err2 := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE)
		if err1 != nil || err2 != nil {
			t.Error(err1, err2)
		}
		return on == 1 && idle == 15
	}
	_, accepted := called(t, l, conns)
	if !kept(accepted.(*sock).fd) {
		t.Error("an accepted connection is not kept alive")
	}
	for _, relayed := range []bool{false, true} {
		c, err := Dial(t.Context(), l.Addr().(*net.TCPAddr).AddrPort(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer (<-conns).Close()
		s := c.(*sock)
		if relayed {
			_, other := called(t, l, conns)
			tunnel := New(other, c, Options{})
			over := make(chan Stats, 1)
			tunnel.Start(func(s Stats) { over <- s })
			defer func() { tunnel.Close(); <-over }()
		} else {
			defer c.Close()
		}
		s.l.keepAlive()
		if !kept(s.fd) {
			t.Errorf("a dialled connection is not kept alive; relayed: %v", relayed)
		}
	}
}

// Whoever shares a listener can make it blocking. Close waits for Accept all the same.
func TestCloseOfBlockingListener(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := tcp.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	shared := duplicate(raw)
	defer unix.Close(shared)
	l := Listener(tcp)
	unix.SetNonblock(shared, false)
	over := make(chan error, 1)
	go func() { _, err := l.Accept(); over <- err }()
	ours := l.(*listener)
	for begun := false; !begun; runtime.Gosched() {
		ours.mu.Lock()
		begun = ours.file != nil || ours.fd < 0
		ours.mu.Unlock()
	}
	l.Close() // an error if Accept has ended for its own
	select {
	case <-over:
	case <-time.After(20 * time.Second):
		t.Error("Accept still waits")
		unix.Shutdown(shared, unix.SHUT_RDWR)
	}
}
