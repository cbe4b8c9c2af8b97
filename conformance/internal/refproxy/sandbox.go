// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"errors"
	"net"
	"path/filepath"
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
	if p.o.Faults.Has(ResolvesOnHost) {
		n, err := p.serveNames(path)
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
