// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package world is the small Internet the checks happen in: the names of the vector tables, an origin
// behind every address of theirs, and the second witness, which saw what reached origins and name server.
package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/sallyport-dev/sallyport/conformance/vectors"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// ErrOutside is returned by Open when the process is not inside the fake Internet.
var ErrOutside = errors.New("conformance: not inside the fake Internet; call fixtures.Enter first in TestMain or main")

// Ports on which every address of the world answers. Nothing listens on port 80, so that an allowed name
// can be reached on a port where its origin refuses.
var openPorts = []uint16{22, 443, 8443}

// World is one fake Internet with the names of the vectors in it.
type World struct {
	fake    *fixtures.World
	origins []*fixtures.Origin

	mu       sync.Mutex
	takes    map[netip.AddrPort]*Take // guarded by mu
	upstream *Upstream                // guarded by mu; nil until somebody wants one
	crowd    []Stranger               // guarded by mu
}

// Open starts a world. There is one per process at a time; Close it before the next.
func Open() (*World, error) {
	if !fixtures.Inside() {
		return nil, ErrOutside
	}
	fake, err := fixtures.NewWorld(fixtures.Options{ResolvConf: "options timeout:5 attempts:1"})
	if err != nil {
		return nil, fmt.Errorf("conformance: starting the fake Internet: %w", err)
	}
	w := &World{fake: fake, takes: map[netip.AddrPort]*Take{}}
	if err := w.furnish(); err != nil {
		return nil, errors.Join(err, fake.Close())
	}
	return w, nil
}

// furnish sets the names and opens the origins.
func (w *World) furnish() error {
	for _, n := range vectors.Names() {
		var addrs []netip.Addr
		for _, a := range n.Addrs {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		w.fake.SetHost(n.Host, addrs...)
	}
	w.fake.Script("servfail.example.com", fixtures.Answer{RCode: fixtures.ServFail})
	w.fake.Script("silent.example.com", fixtures.Answer{Silent: true})
	w.fake.Script("alias.example.com", fixtures.Answer{CNAME: "private.example.com"})
	w.fake.Script("localalias.example.com", fixtures.Answer{CNAME: "loopback.example.com"})
	for _, port := range openPorts {
		o, err := w.fake.Origin(netip.AddrPortFrom(netip.IPv6Unspecified(), port), fixtures.BehaviorFunc(w.serve))
		if err != nil {
			return fmt.Errorf("conformance: an origin behind every address, port %d: %w", port, err)
		}
		w.origins = append(w.origins, o)
	}
	if _, err := w.fake.Blackhole(netip.MustParseAddrPort("93.184.215.30:80")); err != nil {
		return fmt.Errorf("conformance: the address that never answers: %w", err)
	}
	return nil
}

// Close ends everything, the takes of a check that hangs included: an origin waits for them.
func (w *World) Close() error {
	w.mu.Lock()
	takes, u := slices.Collect(maps.Values(w.takes)), w.upstream
	w.mu.Unlock()
	for _, t := range takes {
		t.Close()
	}
	if u != nil {
		return errors.Join(u.close(), w.fake.Close())
	}
	return w.fake.Close()
}

// Addr returns the first address of a name of the world.
func (w *World) Addr(name string) netip.Addr {
	for _, n := range vectors.Names() {
		if n.Host == name && len(n.Addrs) > 0 {
			return netip.MustParseAddr(n.Addrs[0])
		}
	}
	return netip.Addr{}
}

// Rebind makes the answers for name differ from query to query: first for the first query of each
// type, then for every later one. Calling it again starts afresh.
func (w *World) Rebind(name string, first, later netip.Addr) {
	w.fake.Script(name, fixtures.Answer{Addrs: []netip.Addr{first}}, fixtures.Answer{Addrs: []netip.Addr{later}})
}

// serve is the behaviour of every origin: hand the connection to the check that waits for it, else echo.
func (w *World) serve(c *fixtures.Conn) {
	local := netip.AddrPortFrom(c.Local().Addr().Unmap(), c.Local().Port())
	w.mu.Lock()
	t := w.takes[local]
	w.mu.Unlock()
	if t == nil {
		if w.introduce(c) {
			fixtures.Echo().Serve(c)
		}
		return
	}
	select {
	case t.conns <- c:
		<-t.done
	case <-t.done:
	}
}

// Take gives the connections to one address to a check.
type Take struct {
	w     *World
	addr  netip.AddrPort
	conns chan *fixtures.Conn
	done  chan struct{}
	once  sync.Once
}

// Take begins to hand over the connections to addr. A second Take of the same address is an error of
// the check and panics.
func (w *World) Take(addr netip.AddrPort) *Take {
	t := &Take{w: w, addr: addr, conns: make(chan *fixtures.Conn, 64), done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.takes[addr] != nil {
		panic("conformance: two checks take the connections to " + addr.String())
	}
	w.takes[addr] = t
	return t
}

// Next waits for the next connection.
func (t *Take) Next(ctx context.Context) (*fixtures.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("conformance: no connection reached %s: %w", t.addr, ctx.Err())
	}
}

// Close ends the taking; the connections handed over are closed by their origin.
func (t *Take) Close() {
	t.once.Do(func() {
		t.w.mu.Lock()
		delete(t.w.takes, t.addr)
		t.w.mu.Unlock()
		close(t.done)
	})
}
