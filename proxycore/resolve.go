// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

var (
	errNoAddress  = errors.New("proxycore: the name has no address")
	errBadAddress = errors.New("proxycore: the resolver gave an invalid address")
)

// loopback is what localhost and every name below it stand for, whatever a name
// server or a hosts file may say (RFC 6761 section 6.3).
var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// resolve gives the addresses of a canonical name. It asks once: the addresses
// that are checked are the ones that are dialled.
func (s *Server) resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	if addrs, ok := s.pins[name]; ok {
		return addrs, nil
	}
	if isLocalhost(name) {
		return loopback, nil
	}
	ctx, cancel := withTimeout(ctx, s.cfg.DialTimeout)
	defer cancel()
	// The trailing dot makes the name absolute: with a search list, a name that
	// does not exist could become one in somebody else's domain.
	addrs, err := s.cfg.Resolver.LookupNetIP(ctx, "ip", name+".")
	if err != nil {
		return nil, fmt.Errorf("proxycore: look up %s: %w", name, err)
	}
	return checkedAnswer(addrs)
}

// checkedAnswer unmaps the addresses and refuses an answer that is empty or has
// an address that could not be judged.
func checkedAnswer(addrs []netip.Addr) ([]netip.Addr, error) {
	if len(addrs) == 0 {
		return nil, errNoAddress
	}
	out := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		if !a.IsValid() {
			return nil, errBadAddress
		}
		out[i] = a.Unmap()
	}
	return out, nil
}

// pinned checks and copies Config.Hosts.
func pinned(hosts map[string][]netip.Addr) (map[string][]netip.Addr, error) {
	pins := make(map[string][]netip.Addr, len(hosts))
	for name, addrs := range hosts {
		t, err := ParseTarget(net.JoinHostPort(name, "443"))
		if err != nil {
			return nil, fmt.Errorf("proxycore: Hosts: %q is not a name: %w", name, err)
		}
		if t.Host != name {
			return nil, fmt.Errorf("proxycore: Hosts: %q is not a canonical name; write %q", name, t.Host)
		}
		pin, err := checkedAnswer(addrs)
		if err != nil {
			return nil, fmt.Errorf("proxycore: Hosts: the addresses of %q: %w; name at least one valid address", name, err)
		}
		pins[name] = pin
	}
	return pins, nil
}

// withTimeout is context.WithTimeout where a timeout may also mean none.
func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
