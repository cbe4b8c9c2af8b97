// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"time"
)

// socket is one listening socket of this network namespace: TCP, or Unix with a path.
type socket struct {
	local netip.AddrPort // unmapped; [::] and 0.0.0.0 for all addresses
	path  string         // "" for TCP
	inode string
	uid   string // "" for Unix
}

// at reports whether the socket is where the child is to listen.
func (s socket) at(p place) bool {
	if p.socket != "" {
		return s.path == p.socket
	}
	return s.path == "" && int(s.local.Port()) == p.port
}

// listening finds out who listens where, for the child's place and, for exposure,
// on every port of the child's tree.
func (t *tree) listening(p place) (listening, error) {
	sockets, err := listeningSockets()
	if err == nil && p.socket != "" {
		sockets, err = appendUnixSockets(sockets)
	}
	if err != nil {
		return listening{}, err
	}
	if !slices.ContainsFunc(sockets, func(s socket) bool { return s.at(p) }) {
		return listening{}, nil
	}
	own, unseen := t.sockets()
	found := listening{unseen: unseen}
	for _, s := range sockets {
		if !own[s.inode] {
			continue
		}
		if s.path == "" && !s.local.Addr().IsLoopback() {
			found.exposed = s.local
			if !p.exposed {
				continue
			}
		}
		if s.at(p) {
			found.at.socket = s.path
			if s.path == "" && preferred(s.local, found.at.addr) {
				found.at.addr = s.local
			}
		}
	}
	if found.unseen && !found.at.valid() {
		return found, nil // the listener may be the process we cannot see into
	}
	for _, s := range sockets {
		if s.at(p) && !own[s.inode] && (s.path != "" || competes(s.local.Addr(), found.at.addr)) {
			found.stranger = owner(s)
		}
	}
	found.at.addr = reachable(found.at.addr)
	return found, nil
}

// preferred puts 127.0.0.1 before other IPv4 loopback addresses, these before ::1,
// and beyond loopback all addresses before a single one.
func preferred(candidate, best netip.AddrPort) bool {
	rank := func(a netip.Addr) int {
		switch {
		case a == loopback4:
			return 0
		case a.IsLoopback() && a.Is4():
			return 1
		case a.IsLoopback():
			return 2
		case a == netip.IPv4Unspecified():
			return 3
		case a.IsUnspecified():
			return 4
		}
		return 5
	}
	return !best.IsValid() || rank(candidate.Addr()) < rank(best.Addr())
}

// reachable turns a listener on all addresses into one on loopback. Whether one on
// [::] takes IPv4 too, only a connection tells.
func reachable(a netip.AddrPort) netip.AddrPort {
	switch a.Addr() {
	case netip.IPv6Unspecified():
		if c, err := net.DialTimeout("tcp", netip.AddrPortFrom(loopback4, a.Port()).String(), dialLimit); err == nil {
			c.Close()
			return netip.AddrPortFrom(loopback4, a.Port())
		}
		return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(loopback4, a.Port())
	}
	return a
}

var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// dialLimit bounds one attempt; loopback answers at once or not at all.
const dialLimit = 250 * time.Millisecond

// competes reports whether a foreign listener at a could receive connections meant
// for the child at best, or keeps the child from binding while it listens nowhere.
func competes(a netip.Addr, best netip.AddrPort) bool {
	if a.IsUnspecified() {
		return true
	}
	if best.IsValid() && !best.Addr().IsUnspecified() {
		return a == best.Addr()
	}
	return a == loopback4 || a == netip.IPv6Loopback()
}

// sockets returns the inodes of the sockets that the tree holds, and whether some
// process of the tree could not be looked into.
func (t *tree) sockets() (inodes map[string]bool, unseen bool) {
	t.mu.Lock()
	members := t.members()
	t.mu.Unlock()
	inodes = make(map[string]bool)
	for _, m := range members {
		held, err := heldSockets(m.pid)
		unseen = unseen || errors.Is(err, fs.ErrPermission)
		for _, inode := range held {
			inodes[inode] = true
		}
	}
	return inodes, unseen
}
