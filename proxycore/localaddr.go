// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// interfacesAge is how old the snapshot of the host's addresses may be.
const interfacesAge = 10 * time.Second

// localAddrs knows the addresses of the host's interfaces.
type localAddrs struct {
	log   *slog.Logger
	addrs map[netip.Addr]bool // further ones, for tests
}

// snapshot is of the addresses of the host's interfaces. There is one for the whole
// process, because taking one costs more than everything else that a server needs.
type snapshot struct {
	mu    sync.Mutex // guards the fields below
	taken time.Time
	addrs map[netip.Addr]bool // not changed any more
}

var interfaces snapshot

// latest gives the addresses, no older than interfacesAge. After an error the last
// ones, if there are any, stay in force for as long again.
func (s *snapshot) latest() (map[netip.Addr]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addrs != nil && time.Since(s.taken) <= interfacesAge {
		return s.addrs, nil
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		s.taken = time.Now()
		return s.addrs, err
	}
	addrs := make(map[netip.Addr]bool, len(list))
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addrs[p.Addr().Unmap().WithZone("")] = true
		}
	}
	s.addrs, s.taken = addrs, time.Now()
	return addrs, nil
}

// isFresh reports whether latest would not ask the system, nor wait for who does.
func (s *snapshot) isFresh() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	return s.addrs != nil && time.Since(s.taken) <= interfacesAge-time.Second // with time left to go by it
}

// has reports whether a belongs to this host. Loopback and the unspecified
// address always do: connecting to the latter is connecting to oneself.
func (l *localAddrs) has(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() || l.addrs[a] {
		return true
	}
	addrs, err := interfaces.latest()
	if err != nil {
		l.log.Warn("cannot list the host's addresses, using the last list", "err", err)
	}
	return addrs[a]
}

// checkLocal refuses what leads back to this proxy or, unless an address pattern
// admits it, to the host itself. The filter has admitted every address already,
// but it does not know which public addresses are the host's own.
func (s *Server) checkLocal(f *Filter, t Target, addrs []netip.Addr) Decision {
	for _, a := range addrs {
		a = plain(a)
		local := s.local.has(a)
		if s.ownListener(a, t.Port, local) {
			return Decision{Reason: AddressNotAllowed}
		}
		if !local {
			continue
		}
		if d := f.decideOwn(a, t.Port); !d.Allowed {
			return d
		}
	}
	return Decision{Allowed: true}
}

// ownListener reports whether connecting to a would reach one of the server's
// own listeners. local says that a is an address of this host.
func (s *Server) ownListener(a netip.Addr, port uint16, local bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sv := range s.reachable {
		if sv.addr.Port() != port {
			continue
		}
		own := sv.addr.Addr()
		if own == a || a.IsUnspecified() || own.IsUnspecified() && local {
			return true
		}
	}
	return false
}

// listenAddr gives the address that l can be reached at from this process, or
// none: a Unix socket has none, and neither has a listener that was made in
// another network namespace.
func listenAddr(l net.Listener) netip.AddrPort {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok || inForeignNamespace(l) {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
