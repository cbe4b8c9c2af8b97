// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Launch is one command to run in the reference sandbox.
type Launch struct {
	Path string
	Args []string
	Env  []string
}

// settings go from the launcher to the init inside.
type settings struct {
	Launch
	Door   string // the unix socket of the proxy
	Proxy  string // the proxy's TCP address on the host, for the fault NetworkKept
	Faults Faults
	// Transparent: the init captures what goes past the proxy, for the names and ports of Allow and Deny.
	Transparent bool
	Allow, Deny []string

	capture *capture // of the init; nil where there is none
}

// Doors makes the proxy reachable for its sandboxes: a unix socket in dir. It is closed with the proxy.
func (p *Proxy) Doors(dir string) (string, error) {
	path := filepath.Join(dir, "door")
	l, err := net.Listen("unix", path)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return "", errors.Join(errors.New("refproxy: closed"), l.Close())
	}
	p.doors = append(p.doors, l)
	if p.o.Faults.forwards() {
		n, err := p.serveNames(path)
		if err != nil {
			return "", err
		}
		p.doors = append(p.doors, n)
	}
	if p.o.Faults.Has(UDPRelayed) {
		n, err := serveDatagrams(path)
		if err != nil {
			return "", err
		}
		p.doors = append(p.doors, n)
	}
	go p.accept(l)
	return path, nil
}

// alive reports whether somebody answers at the door.
func alive(door string) bool {
	c, err := net.DialTimeout("unix", door, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// datagrams is the socket by which datagrams leave the sandbox with the fault UDPRelayed, next to the door.
func datagrams(door string) string { return door + ".datagrams" }

// serveDatagrams sends what comes out of sandboxes on, an address and a datagram a connection.
func serveDatagrams(door string) (net.Listener, error) {
	l, err := net.Listen("unix", datagrams(door))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go relayDatagram(c)
		}
	}()
	return l, nil
}

func relayDatagram(c net.Conn) {
	defer c.Close()
	text, err := io.ReadAll(c)
	to, datagram, ok := strings.Cut(string(text), "\n")
	if err != nil || !ok {
		return
	}
	if out, err := net.Dial("udp", to); err == nil {
		io.WriteString(out, datagram)
		out.Close()
	}
}
