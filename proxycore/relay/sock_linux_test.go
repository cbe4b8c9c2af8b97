// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A connection of ours must behave as one of package net does: the proxy reads a
// head from it, writes replies, sets deadlines and closes it from elsewhere.

func TestSockDeadlines(t *testing.T) {
	t.Parallel()
	far, c := pair(t, loopNet)
	for _, set := range []func(time.Time) error{c.SetReadDeadline, c.SetDeadline} {
		set(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read = %v, want a time out", err)
		}
		set(time.Time{})
	}
	// A deadline that is set meanwhile wakes who reads already.
	read := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	c.SetReadDeadline(time.Unix(1, 0))
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read = %v, want a time out", err)
	}
	c.SetReadDeadline(time.Time{})
	// Nobody reads at the far end, so at some time the connection is full.
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := c.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
		t.Errorf("write = %d, %v; want a time out after some bytes", n, err)
	}
	c.SetWriteDeadline(time.Time{})
	got := make(chan int64, 1)
	go func() { n, _ := io.Copy(io.Discard, far); got <- n }()
	if m, err := c.Write([]byte("more")); m != 4 || err != nil {
		t.Errorf("write = %d, %v once there is room", m, err)
	}
	c.CloseWrite()
	if g := <-got; g != int64(n+4) {
		t.Errorf("the far end got %d bytes, want %d", g, n+4)
	}
}

func TestSockClosedWhileInUse(t *testing.T) {
	t.Parallel()
	_, c := pair(t, loopNet)
	read := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	if err := c.Close(); err != nil {
		t.Errorf("close = %v", err)
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read = %v, want net.ErrClosed", err)
	}
	for what, err := range map[string]error{
		"close": c.Close(), "half-close": c.CloseWrite(), "deadline": c.SetDeadline(time.Time{}),
		"write": func() error { _, err := c.Write([]byte("x")); return err }(),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after close = %v, want net.ErrClosed", what, err)
		}
	}
}

func TestSockAddresses(t *testing.T) {
	t.Parallel()
	far, c := pair(t, loopNet)
	if c.RemoteAddr().String() != far.LocalAddr().String() || c.LocalAddr().String() != far.RemoteAddr().String() {
		t.Errorf("%v - %v, and at the far end %v - %v", c.LocalAddr(), c.RemoteAddr(), far.LocalAddr(), far.RemoteAddr())
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := uintptr(0)
	if err := raw.Control(func(d uintptr) { fd = d }); err != nil || fd == 0 {
		t.Errorf("descriptor %d, %v", fd, err)
	}
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	if _, err := Dial(t.Context(), to, 0); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a closed port: %v, want connection refused", err)
	}
	if _, err := Dial(t.Context(), netip.MustParseAddrPort("[::1%lo]:1"), 0); err == nil {
		t.Error("dialled a closed port of ::1%lo")
	}
	// A listener whose queue is full answers nobody.
	fd, full := fullListener(t)
	defer syscall.Close(fd)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, full, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial one that does not answer: %v, want deadline exceeded", err)
	}
	if _, err := Dial(t.Context(), full, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial one that does not answer, with a limit: %v, want deadline exceeded", err)
	}
}

// An event that was meant for a connection which had the descriptor before must not
// be taken for the answer.
func TestDialIsNotMadeByAnOldEvent(t *testing.T) {
	t.Parallel()
	fd, full := fullListener(t)
	defer syscall.Close(fd)
	c, err := connect(full, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	made := make(chan error, 1)
	go func() { made <- c.connected(ctx, 0) }()
	for range 3 {
		c.ready(c.l, unix.EPOLLOUT)
		select {
		case err := <-made:
			t.Fatalf("the connection is made: %v", err)
		case <-time.After(10 * time.Millisecond): // only a wrong answer is one
		}
	}
	cancel()
	if err := <-made; !errors.Is(err, context.Canceled) {
		t.Errorf("connected = %v, want the end of the context", err)
	}
}

// fullListener listens with the shortest queue, and fills it.
func fullListener(t *testing.T) (fd int, addr netip.AddrPort) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = addrPort(sa)
	for range 4 {
		c, err := net.DialTimeout("tcp", addr.String(), 50*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return fd, addr
}

// What came before the tunnel, and was not read, must not wait for the next byte.
func TestBytesThatWereThereBeforeTheTunnel(t *testing.T) {
	t.Parallel()
	for range 50 {
		client, in := pair(t, loopNet)
		out, origin := dialled(t)
		io.WriteString(client, "head|early")
		head := make([]byte, 5)
		io.ReadFull(in, head)
		io.WriteString(origin, "hello")
		stats := make(chan Stats, 1)
		New(in, out, Options{}).Start(func(s Stats) { stats <- s })
		for c, want := range map[net.Conn]string{origin: "early", client: "hello"} {
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			got := make([]byte, 5)
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte(want)) {
				t.Fatalf("got %q, %v; want %q", got, err, want)
			}
		}
		client.CloseWrite()
		origin.CloseWrite()
		if s := <-stats; s.Up != 5 || s.Down != 5 || s.Err != nil {
			t.Fatalf("stats = %+v", s)
		}
	}
}

// The end and the reset of a stream that are there before the tunnel are seen, too.
func TestEndsThatWereThereBeforeTheTunnel(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(halfCloser){
		"end": func(c halfCloser) { c.CloseWrite() }, "reset": func(c halfCloser) { reset(c) },
	} {
		client, in := pair(t, loopNet)
		out, origin := dialled(t)
		end(client)
		stats := make(chan Stats, 1)
		New(in, out, Options{}).Start(func(s Stats) { stats <- s })
		origin.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := origin.Read(make([]byte, 1)); n != 0 || errors.Is(err, syscall.ECONNRESET) != (name == "reset") {
			t.Errorf("%s: the origin read %d, %v", name, n, err)
		}
		origin.Close()
		if s := <-stats; (s.Err != nil) != (name == "reset") {
			t.Errorf("%s: stats = %+v", name, s)
		}
	}
}

func TestListenerEnds(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ours := Listener(l)
	if ours.Addr().String() != l.Addr().String() {
		t.Errorf("address %v, want %v", ours.Addr(), l.Addr())
	}
	accepted := make(chan error, 1)
	go func() { _, err := ours.Accept(); accepted <- err }()
	ours.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept = %v, want net.ErrClosed", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after close: %v, want connection refused", err)
	}
}

// Not parallel: nothing of the loops is to be left when nobody needs them.
func TestNothingIsLeft(t *testing.T) {
	before := descriptors(t)
	release := Keep()
	client, in := pair(t, loopNet)
	out, origin := dialled(t)
	stats := make(chan Stats, 1)
	New(in, out, Options{}).Start(func(s Stats) { stats <- s })
	client.Close()
	origin.Close()
	<-stats
	loops.mu.Lock()
	running := len(loops.all)
	loops.mu.Unlock()
	if running == 0 {
		t.Error("no loop is kept for the next tunnel")
	}
	release()
	release()
	loops.mu.Lock()
	running, users := len(loops.all), loops.users
	loops.mu.Unlock()
	if running != 0 || users != 0 {
		t.Errorf("%d loops are left for %d users", running, users)
	}
	if got := descriptors(t); got > before {
		t.Errorf("%d descriptors after, %d before", got, before)
	}
}

// A port on which nobody listens takes no connection, not even from itself.
func TestDialDoesNotReachItself(t *testing.T) {
	defer Keep()()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// The kernel chooses near ends from the same range, but odd where listeners get even, or the other way round.
	to := l.Addr().(*net.TCPAddr).AddrPort()
	to = netip.AddrPortFrom(to.Addr(), to.Port()^1)
	l.Close()
	for i := range 60000 {
		c, err := Dial(t.Context(), to, 0)
		if err == nil {
			t.Fatalf("attempt %d: connected from %v to %v", i, c.LocalAddr(), c.RemoteAddr())
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("attempt %d: %v, want connection refused", i, err)
		}
	}
}
