// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// Way is a way to the upstream, named like the scheme of its URL.
type Way string

// Ways to the upstream.
const (
	WayHTTP  Way = "http"
	WayTLS   Way = "https"
	WaySOCKS Way = "socks5h"
	WayUnix  Way = "unix"
)

// Where the upstream is: a private address, as a corporate proxy has one, and a name for its certificate. What it
// connects to origins from is its own too, so that an origin can tell who is calling.
var (
	upstreamAddr  = netip.MustParseAddr("10.20.30.40")
	upstreamAddr6 = netip.MustParseAddr("fd20:30:40::40")
)

// UpstreamName is the name of the upstream.
const UpstreamName = "gate.corp.example.com"

var upstreamPorts = map[Way]uint16{WayHTTP: 3128, WayTLS: 3129, WaySOCKS: 1080}

// isUpstream reports that an address is one of the upstream's.
func isUpstream(a netip.Addr) bool { return a == upstreamAddr || a == upstreamAddr6 }

// Upstream is a proxy in the fake Internet that a subject can be told to go through. It does what its script says and
// remembers who came and what was asked.
type Upstream struct {
	w    *World
	dir  string // with the socket and the certificates
	keys *keys
	wg   sync.WaitGroup

	mu        sync.Mutex
	script    Script                   // guarded by mu
	listeners map[Way]net.Listener     // guarded by mu
	visits    []*visit                 // guarded by mu
	conns     map[net.Conn]bool        // guarded by mu; nil once closed
	markers   map[string]chan struct{} // guarded by mu
	marked    int                      // markers so far; guarded by mu
}

// Upstream returns the world's upstream, which begins its life with the first call.
func (w *World) Upstream() (*Upstream, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.upstream != nil {
		return w.upstream, nil
	}
	dir, err := os.MkdirTemp("", "up")
	if err != nil {
		return nil, fmt.Errorf("conformance: a directory for the upstream: %w", err)
	}
	u := &Upstream{
		w: w, dir: dir, listeners: map[Way]net.Listener{}, conns: map[net.Conn]bool{}, markers: map[string]chan struct{}{},
	}
	if u.keys, err = newKeys(dir); err == nil {
		err = u.Up()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("conformance: the upstream: %w", err), u.close())
	}
	w.fake.SetHost(UpstreamName, upstreamAddr)
	w.upstream = u
	return u, nil
}

// URL is where a subject finds the upstream. The one for TLS has its name in it, the others its address.
func (u *Upstream) URL(way Way) string {
	switch way {
	case WayUnix:
		return "unix://" + filepath.Join(u.dir, "s")
	case WayTLS:
		return fmt.Sprintf("https://%s:%d", UpstreamName, upstreamPorts[way])
	}
	return fmt.Sprintf("%s://%s:%d", way, upstreamAddr, upstreamPorts[way])
}

// Addr is where it listens for plain CONNECT requests.
func (u *Upstream) Addr() netip.AddrPort {
	return netip.AddrPortFrom(upstreamAddr, upstreamPorts[WayHTTP])
}

// CAFile is the PEM file of the authority that signs its good certificate.
func (u *Upstream) CAFile() string { return filepath.Join(u.dir, "ca.pem") }

// SetScript says what it does from now on, with connections that have not yet been answered too.
func (u *Upstream) SetScript(s Script) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.script = s
}

func (u *Upstream) now() Script {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.script
}

// Up makes it listen, where it does not yet.
func (u *Upstream) Up() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, way := range []Way{WayHTTP, WayTLS, WaySOCKS, WayUnix} {
		if u.listeners[way] != nil {
			continue
		}
		network, address := "unix", filepath.Join(u.dir, "s")
		if way != WayUnix {
			network, address = "tcp4", netip.AddrPortFrom(upstreamAddr, upstreamPorts[way]).String()
		}
		l, err := net.Listen(network, address)
		if err != nil {
			return fmt.Errorf("conformance: the upstream: %w", err)
		}
		u.listeners[way] = l
		u.wg.Go(func() { u.accept(way, l) })
	}
	return nil
}

// Down makes it refuse connections; those it has stay.
func (u *Upstream) Down() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for way, l := range u.listeners {
		l.Close()
		delete(u.listeners, way)
	}
}

// close ends it with all its connections.
func (u *Upstream) close() error {
	u.Down()
	u.mu.Lock()
	conns := u.conns
	u.conns = nil
	u.mu.Unlock()
	for c := range conns {
		c.Close()
	}
	u.wg.Wait()
	return os.RemoveAll(u.dir)
}

// accept takes connections one after another, and enters each before the next one can come.
func (u *Upstream) accept(way Way, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		v := &visit{Visit: Visit{Way: way}, done: make(chan struct{})}
		u.mu.Lock()
		if u.conns == nil {
			u.mu.Unlock()
			c.Close()
			return
		}
		u.conns[c] = true
		u.visits = append(u.visits, v)
		u.mu.Unlock()
		u.wg.Go(func() {
			u.serve(c, v)
			c.Close()
			v.publish()
			close(v.done)
			u.mu.Lock()
			defer u.mu.Unlock()
			delete(u.conns, c)
		})
	}
}

// track remembers a connection to an origin, to be closed with the upstream.
func (u *Upstream) track(c net.Conn) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conns == nil {
		return false
	}
	u.conns[c] = true
	return true
}

func (u *Upstream) untrack(c net.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.conns, c)
	c.Close()
}

// UpstreamMark is a point in the upstream's record.
type UpstreamMark int

// Mark returns the present point: all connections made before are behind it.
func (u *Upstream) Mark(ctx context.Context) (UpstreamMark, error) {
	if err := u.sync(ctx); err != nil {
		return 0, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return UpstreamMark(len(u.visits)), nil
}

// Since returns the connections made after m. That there is none is a proof, for all that had returned before: every
// listener has first taken a connection of the upstream's own.
func (u *Upstream) Since(ctx context.Context, m UpstreamMark) ([]Visit, error) {
	if err := u.sync(ctx); err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []Visit
	for _, v := range u.visits[m:] {
		if !v.marker {
			out = append(out, v.snapshot())
		}
	}
	return out, nil
}

// sync waits until every listener has accepted what was there to accept.
func (u *Upstream) sync(ctx context.Context) error {
	type marker struct {
		text string
		at   net.Addr
		done chan struct{}
	}
	var all []marker
	u.mu.Lock()
	for _, l := range u.listeners {
		u.marked++
		m := marker{fmt.Sprintf("%s%012d", markerText, u.marked), l.Addr(), make(chan struct{})}
		u.markers[m.text] = m.done
		all = append(all, m)
	}
	u.mu.Unlock()
	for _, m := range all {
		c, err := (&net.Dialer{}).DialContext(ctx, m.at.Network(), m.at.String())
		if err != nil {
			return fmt.Errorf("conformance: the upstream does not answer itself: %w", err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(m.text)); err != nil {
			return fmt.Errorf("conformance: the upstream does not answer itself: %w", err)
		}
		select {
		case <-m.done:
		case <-ctx.Done():
			return fmt.Errorf("conformance: the upstream does not answer itself: %w", ctx.Err())
		}
	}
	return nil
}

// markerText begins what the upstream sends to itself; no protocol it speaks begins so.
const markerText = "MARK "

// marker reports that a connection is one of the upstream's own.
func (u *Upstream) marker(text string, v *visit) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	done := u.markers[text]
	if done == nil {
		return false
	}
	v.marker = true
	delete(u.markers, text)
	close(done)
	return true
}
