// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// The fault ResolvesOnHost: the sandbox has a network of its own, and a resolver in it that carries every query to
// the name server of the host. Nothing but names gets out, which is enough to carry secrets.

// names is the socket by which queries leave the sandbox, next to the door.
func names(door string) string { return door + ".names" }

// serveNames answers queries that come out of sandboxes, one a connection.
func (p *Proxy) serveNames(door string) (net.Listener, error) {
	l, err := net.Listen("unix", names(door))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				answer(c)
			}()
		}
	}()
	return l, nil
}

// answer carries one query to the name server and its answer back.
func answer(c net.Conn) {
	at, err := nameServer()
	if err != nil {
		return
	}
	out, err := net.Dial("udp", at.String())
	if err != nil {
		return
	}
	defer out.Close()
	exchange(c, out)
}

// exchange copies one message each way.
func exchange(from io.ReadWriter, to net.Conn) {
	to.SetDeadline(time.Now().Add(dialTimeout))
	buf := make([]byte, 4096)
	n, err := from.Read(buf)
	if err != nil {
		return
	}
	if _, err := to.Write(buf[:n]); err != nil {
		return
	}
	if n, err = to.Read(buf); err == nil {
		from.Write(buf[:n])
	}
}

// nameServer reads the first one of /etc/resolv.conf.
func nameServer() (netip.AddrPort, error) {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return netip.AddrPort{}, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" {
			a, err := netip.ParseAddr(f[1])
			return netip.AddrPortFrom(a, 53), err
		}
	}
	return netip.AddrPort{}, errors.New("refproxy: /etc/resolv.conf names no server")
}

// resolver takes the name server's address inside and serves there.
func (s settings) resolver() error {
	at, err := nameServer()
	if err != nil {
		return err
	}
	if err := addAddress(at.Addr().As4()); err != nil {
		return err
	}
	l, err := net.ListenPacket("udp4", at.String())
	if err != nil {
		return fmt.Errorf("refproxy: the resolver inside: %w", err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			query := string(buf[:n])
			go func() {
				out, err := net.Dial("unix", names(s.Door))
				if err != nil {
					return
				}
				defer out.Close()
				exchange(&datagram{query, l, from}, out)
			}()
		}
	}()
	return nil
}

// datagram is one query and the way back to whoever sent it.
type datagram struct {
	query string
	l     net.PacketConn
	from  net.Addr
}

func (d *datagram) Read(p []byte) (int, error)  { return copy(p, d.query), nil }
func (d *datagram) Write(p []byte) (int, error) { return d.l.WriteTo(p, d.from) }

// addAddress gives the loopback device a second address.
func addAddress(a [4]byte) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer syscall.Close(fd)
	var req struct {
		name   [16]byte
		family uint16
		port   uint16
		addr   [4]byte
		_      [16]byte
	}
	copy(req.name[:], "lo:1")
	req.family, req.addr = syscall.AF_INET, a
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFADDR, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return fmt.Errorf("a second address of the loopback device: %w", errno)
	}
	return nil
}
