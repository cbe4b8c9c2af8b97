// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"context"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What follows urgent data arrives without waiting for more.
func TestBytesBehindUrgentData(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		if network == "unix" {
			t.Skip("no urgent data")
		}
		w := start(t, network, o)
		const many = 150 << 10
		w.client.Write(make([]byte, many))
		raw, _ := w.client.(syscall.Conn).SyscallConn()
		raw.Control(func(fd uintptr) {
			syscall.Sendto(int(fd), []byte("before"), 0, nil)
			unix.Send(int(fd), []byte("u"), unix.MSG_OOB)
			syscall.Sendto(int(fd), []byte("behind"), 0, nil)
		})
		w.origin.SetReadDeadline(time.Now().Add(2 * time.Second))
		b := make([]byte, many+12)
		if n, err := io.ReadFull(w.origin, b); err != nil {
			t.Errorf("the origin got %d, %v", n, err)
		}
	})
}

// A port on which nobody listens takes no connection, not even from itself.
func TestDialDoesNotReachItself(t *testing.T) {
	release := Keep()
	defer release()
	to := netip.MustParseAddrPort("127.0.0.1:45678")
	for i := range 400000 {
		c, err := Dial(context.Background(), to, time.Second)
		if err == nil {
			t.Fatalf("attempt %d: connected from %v to %v", i, c.LocalAddr(), c.RemoteAddr())
		}
	}
}

// A listener that was made blocking before the first Accept.
func TestCloseBlockingListener(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := tcp.(*net.TCPListener).SyscallConn()
	own := duplicate(raw)
	defer unix.Close(own)
	l := Listener(tcp)
	unix.SetNonblock(own, false)
	over := make(chan error, 1)
	go func() { _, err := l.Accept(); over <- err }()
	<-time.After(100 * time.Millisecond)
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	select {
	case err := <-closed:
		select {
		case <-over:
		case <-time.After(time.Second):
			t.Errorf("Close gave %v, but Accept still waits", err)
			unix.Shutdown(own, unix.SHUT_RDWR)
		}
	case <-time.After(time.Second):
		t.Log("Close waits for Accept, so it can be repeated")
		unix.Shutdown(own, unix.SHUT_RDWR)
	}
}
