// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"io"
	"net"
	"sync"
	"time"
)

// open serves the listener inside by carrying every connection to the door.
func (s settings) open(l net.Listener) {
	switch {
	case s.Faults.Has(DoorFails):
		l.Close()
	case s.Faults.Has(DoorLate):
		address := l.Addr().String()
		l.Close()
		time.AfterFunc(time.Second, func() {
			if again, err := net.Listen("tcp4", address); err == nil {
				s.carry(again)
			}
		})
	default:
		go s.carry(l)
	}
}

func (s settings) carry(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			in := c.(*net.TCPConn)
			out, err := net.Dial("unix", s.Door)
			if err != nil {
				reset(in)
				return
			}
			if s.capture != nil {
				s.capture.requests(in, out)
				return
			}
			join(in, out.(*net.UnixConn))
		}()
	}
}

func join(a *net.TCPConn, b *net.UnixConn) {
	defer a.Close()
	defer b.Close()
	var wg sync.WaitGroup
	one := func(dst half, src net.Conn) {
		if _, err := io.Copy(dst, src); err != nil {
			reset(a)
			b.Close()
			return
		}
		dst.CloseWrite()
	}
	wg.Go(func() { one(a, b) })
	wg.Go(func() { one(b, a) })
	wg.Wait()
}
