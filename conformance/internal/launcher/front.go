// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package launcher

import (
	"io"
	"net"
	"sync"
)

// front relays to a program and does not tell its clients of the end of the connections behind it: the fault
// TunnelsKept.
type front struct {
	l  net.Listener
	to *net.TCPAddr

	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

func newFront(to *net.TCPAddr) (*front, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{l: l, to: to}
	go f.accept()
	return f, nil
}

func (f *front) accept() {
	for {
		in, err := f.l.Accept()
		if err != nil {
			return
		}
		out, err := net.DialTCP("tcp", nil, f.to)
		if err != nil {
			in.Close()
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, in, out)
		f.mu.Unlock()
		go io.Copy(out, in)
		go io.Copy(in, out)
	}
}

func (f *front) close() {
	f.l.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
}
