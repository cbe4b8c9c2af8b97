// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// errZeroUpstream is what an Upstream gets that ParseUpstream did not make.
var errZeroUpstream = errors.New("proxycore: an Upstream of no use: make it with ParseUpstream")

// hostResolver looks up the names of upstreams, which are of this host's network:
// with its search list, and never through Config.Resolver, which is for targets.
var hostResolver = &net.Resolver{PreferGo: true}

// route gives the upstream that t goes through, nil for none.
func (s *Server) route(t Target) (*Upstream, error) {
	if s.cfg.Route == nil {
		return s.cfg.Upstream, nil
	}
	up, err := s.cfg.Route(s.routed(t))
	if err != nil {
		return nil, fmt.Errorf("proxycore: Config.Route: %w", err)
	}
	if up != nil && up.scheme == "" {
		return nil, errZeroUpstream
	}
	return up, nil
}

// routed is what Config.Route is asked: t, but for a localhost that has been
// pinned to an address that is not loopback. What treats localhost as direct
// because it is this machine would be deceived by that name.
func (s *Server) routed(t Target) Target {
	if !isLocalhost(t.Host) {
		return t
	}
	for _, a := range s.pins[t.Host] {
		if !a.IsLoopback() {
			return Target{Addr: a, Port: t.Port}
		}
	}
	return t
}

// resolvesFor reports whether t's addresses are known here, so that they are
// judged here and the upstream is sent one of them.
func (s *Server) resolvesFor(up *Upstream, t Target) bool {
	_, pinned := s.pins[t.Host]
	return t.Host == "" || pinned || isLocalhost(t.Host) || up.lookup != LookupUpstream
}

// chain connects through up, within DialTimeout in all. addrs are the target's,
// judged; without any the upstream is sent the name.
func (c *conn) chain(ctx context.Context, up *Upstream, t Target, addrs []netip.Addr) (hop, *refusal) {
	ctx, cancel := withTimeout(ctx, c.s.cfg.DialTimeout)
	defer cancel()
	proxies, err := c.s.upstreamAddrs(ctx, up)
	if err == nil && (c.s.leadsTo(up, proxies, t, addrs) || up.toItself(t, addrs)) {
		return hop{}, policyRefusal(Decision{Reason: AddressNotAllowed})
	}
	c.rec.Upstream = up.String()
	if err == nil {
		asked := []Target{t}
		if len(addrs) > 0 {
			asked = targetsAt(dialOrder(addrs), t.Port)
		}
		var h hop
		if h, err = c.ask(ctx, up, proxies, asked); err == nil {
			return h, nil
		}
	}
	c.s.log.Debug("upstream failed", "target", t.String(), "upstream", up, "err", err)
	r := upstreamRefusal(err)
	c.rec.UpstreamStatus = r.received
	return hop{}, r
}

// ask asks up for one target after the other until it connects one. Each has an
// equal share of what is left of the time.
func (c *conn) ask(ctx context.Context, up *Upstream, proxies []netip.Addr, targets []Target) (h hop, err error) {
	for i, t := range targets {
		share, cancel := shareOf(ctx, len(targets)-i)
		conn, reply, err := up.through(share, proxies, t)
		late := share.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil {
			c.rec.UpstreamStatus = reply.status
			if t.Addr.IsValid() {
				h.addr = netip.AddrPortFrom(t.Addr, t.Port)
				c.rec.setAddress(h.addr)
			}
			h.conn, h.early = conn, reply.early
			return h, nil
		}
		var ue *upstreamError
		if i == len(targets)-1 || !late && !(errors.As(err, &ue) && ue.another) {
			return hop{}, err
		}
	}
	return hop{}, errNoAddress
}

// shareOf gives the first of n their share of ctx's time.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && n > 1 {
		return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
	}
	return context.WithCancel(ctx)
}

func targetsAt(addrs []netip.Addr, port uint16) []Target {
	out := make([]Target, len(addrs))
	for i, a := range addrs {
		out[i] = Target{Addr: a, Port: port}
	}
	return out
}

// upstreamAddrs gives up's addresses at this moment, none for a Unix socket. One
// of this server's own listeners as its upstream would be a loop.
func (s *Server) upstreamAddrs(ctx context.Context, up *Upstream) ([]netip.Addr, error) {
	if up.scheme == "unix" {
		if s.ownSocket(up.path) {
			return nil, errLoop
		}
		return nil, nil
	}
	addrs, err := up.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if p := plain(a); s.ownListener(p, up.port, s.local.has(p)) {
			return nil, errLoop
		}
	}
	return addrs, nil
}

// lookUp gives the addresses of an upstream that has a host.
func (u *Upstream) lookUp(ctx context.Context) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(u.host); err == nil {
		return []netip.Addr{a}, nil
	}
	if isLocalhost(u.host) {
		return loopback, nil
	}
	addrs, err := hostResolver.LookupNetIP(ctx, "ip", u.host)
	if err == nil {
		addrs, err = checkedAnswer(addrs)
	}
	if err != nil {
		return nil, lookupError(err)
	}
	return addrs, nil
}

// ownSocket reports whether one of the server's own listeners is the Unix socket
// at path.
func (s *Server) ownSocket(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sv := range s.serving {
		if sv.l == nil {
			continue
		}
		if a := sv.l.Addr(); a.Network() == "unix" && a.String() == path {
			return true
		}
	}
	return false
}

// leadsTo reports whether t is the upstream itself, at proxies: through that, the
// client could ask for anything, past the filter. Two addresses of this host count
// as one, because a proxy may listen on all of them.
func (s *Server) leadsTo(up *Upstream, proxies []netip.Addr, t Target, addrs []netip.Addr) bool {
	if up.scheme == "unix" || t.Port != up.port {
		return false
	}
	if up.names(t) {
		return true
	}
	for _, a := range addrs {
		a = plain(a)
		inner := embedded(a)
		for _, p := range proxies {
			p = plain(p)
			if a == p || slices.Contains(inner[:], p) || s.local.has(a) && s.local.has(p) {
				return true
			}
		}
	}
	return false
}

// toItself reports whether the upstream, asked for t, would connect to itself, at its own
// loopback, wherever it is.
func (u *Upstream) toItself(t Target, addrs []netip.Addr) bool {
	return u.scheme != "unix" && t.Port == u.port && slices.ContainsFunc(addrs, func(a netip.Addr) bool {
		a = plain(a)
		inner := embedded(a)
		return isSelf(a) || slices.ContainsFunc(inner[:], isSelf)
	})
}

// checkDirect refuses a direct connection that leads to the upstream of others.
func (s *Server) checkDirect(ctx context.Context, t Target, addrs []netip.Addr) *refusal {
	up := s.cfg.Upstream
	if up == nil || up.scheme == "unix" || up.port != t.Port {
		return nil
	}
	ctx, cancel := withTimeout(ctx, s.cfg.DialTimeout)
	defer cancel()
	proxies, err := s.upstreamAddrs(ctx, up)
	switch {
	case err != nil:
		s.log.Debug("no way to tell whether the target is the upstream", "target", t.String(), "upstream", up, "err", err)
		return upstreamRefusal(err)
	case s.leadsTo(up, proxies, t, addrs):
		return policyRefusal(Decision{Reason: AddressNotAllowed})
	}
	return nil
}

// isSelf reports whether a is whoever connects to it.
func isSelf(a netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }
