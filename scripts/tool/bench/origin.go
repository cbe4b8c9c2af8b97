// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// What the first byte of a connection asks of the origin.
const (
	opOnce    = 's' // send the byte back and close
	opEcho    = 'e' // send everything back
	opSend    = 'd' // send without end
	opDiscard = 'u' // take without end
)

// chunk is what one write sends.
var chunk = make([]byte, 256<<10)

// origin is the server that every tunnel leads to. It prints its address, and ends with its standard input.
func origin() error {
	l, ap, err := listenTCP()
	if err != nil {
		return err
	}
	p, err := newPoller()
	if err != nil {
		return err
	}
	listener := &sock{fd: l}
	listener.ready = func(*sock, uint32) {
		for range 64 {
			fd, _, err := unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			s := &sock{fd: fd, ready: func(s *sock, events uint32) { p.serve(s, events) }}
			if p.add(s, unix.EPOLLIN) != nil {
				unix.Close(fd)
			}
		}
	}
	if err := p.add(listener, unix.EPOLLIN); err != nil {
		return err
	}
	fmt.Println(ap)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		if err := p.turn(-1); err != nil {
			return err
		}
	}
}

// serve is the origin's side of a connection.
func (p *poller) serve(s *sock, events uint32) {
	if s.op == opSend {
		if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			p.drop(s)
			return
		}
		if _, err := unix.Write(s.fd, chunk); err != nil && err != unix.EAGAIN {
			p.drop(s)
		}
		return
	}
	if s.op == opDiscard {
		if _, over := discard(s.fd, 1<<20); over {
			p.drop(s)
		}
		return
	}
	var buf [512]byte
	n, err := unix.Read(s.fd, buf[:])
	switch {
	case err == unix.EAGAIN:
		return
	case n <= 0:
		p.drop(s)
		return
	}
	if s.op == 0 {
		s.op = buf[0]
	}
	switch s.op {
	case opOnce:
		unix.Write(s.fd, buf[:1])
		p.drop(s)
	case opEcho:
		unix.Write(s.fd, buf[:n])
	case opSend:
		p.want(s, unix.EPOLLOUT)
	case opDiscard:
	default:
		p.drop(s)
	}
}
