// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package proxycore

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A capture that cannot be served leaves nothing behind.
func TestCaptureThatFailsClosesAll(t *testing.T) {
	t.Parallel()
	h, err := BuiltIn{}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l := listen(t)
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	u.Close()
	if _, err := h.Capture(Capture{Proxy: l, Queries: []*net.UDPConn{u}}, Listening{}); err == nil {
		t.Fatal("a closed socket is served")
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("the listener is still open")
	}
}

// A sandbox that makes its listener blocking before it is served, and listens again and
// again, cannot hold up the end.
func TestCloseOfListenerThatWasBlockingFirst(t *testing.T) {
	t.Parallel()
	h, err := BuiltIn{}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tcp := listen(t).(*net.TCPListener)
	raw, _ := tcp.SyscallConn()
	own := -1
	raw.Control(func(fd uintptr) { own, _ = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		for {
			select {
			case <-quit:
				unix.Shutdown(own, unix.SHUT_RDWR)
				unix.Close(own)
				return
			default:
				unix.SetNonblock(own, false)
				unix.Listen(own, 10)
			}
		}
	}()
	<-time.After(50 * time.Millisecond)
	if _, err := h.Capture(Capture{Proxy: tcp}, Listening{Name: "hostile"}); err != nil {
		t.Fatal(err)
	}
	<-time.After(100 * time.Millisecond)
	within(t, 5*time.Second, "Close", func() { h.Close() })
}
