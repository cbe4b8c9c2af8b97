// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// capture is [Handle.Capture].
func (s *Server) capture(c Capture, o Listening) (detach func(), err error) {
	src := &source{o: o, names: new(namePool), original: c.Original, only4: c.only4()}
	var list []*serving
	listen := func(e entry, l net.Listener) {
		list = append(list, s.newServing(src, e, sharedListener{l}))
	}
	// First: what relay.Listener takes over, c.Close does not close any more.
	for _, u := range c.Queries {
		if err := tellDestinations(u); err != nil {
			c.Close()
			return nil, err
		}
		list = append(list, &serving{s: s, source: src, entry: queries, u: u, stop: make(chan struct{})})
	}
	if c.Proxy != nil {
		listen(requests, relay.Listener(c.Proxy))
	}
	for _, l := range c.Connections {
		listen(captured, relay.Listener(l))
	}
	for _, l := range c.QueryStreams {
		listen(queries, l)
	}
	if err := s.start(list...); err != nil {
		return nil, err
	}
	for _, sv := range list {
		if sv.l != nil {
			go s.accept(sv)
		} else {
			go s.serveDatagrams(sv)
		}
	}
	return func() { s.detach(src) }, nil
}

// only4 reports whether no IPv6 connection can arrive, because the sandbox has no
// IPv6: then a name is told no IPv6 address. (What is redirected keeps its family.)
func (c Capture) only4() bool {
	for _, l := range c.Connections {
		a, ok := l.Addr().(*net.TCPAddr)
		if !ok || !a.AddrPort().Addr().Is4() {
			return false
		}
	}
	return len(c.Connections) > 0
}

// serveCaptured is the goroutine of a captured connection until it has a tunnel:
// serve for one that sends no head and gets no reply. The kernel has accepted it
// already, so a refusal can only be a reset.
func (c *conn) serveCaptured() {
	tunnel := false
	defer func() {
		if p := recover(); p != nil || !tunnel {
			c.leave(p)
		}
	}()
	target, refused := c.destination()
	if !c.advance(stateRequest) {
		return
	}
	if refused != nil {
		c.deny(refused)
		return
	}
	t, refused := c.connect(target, nil)
	switch {
	case refused != nil:
		c.deny(refused)
	case t == nil:
		c.giveUp()
	default:
		tunnel = true
		t.Start(c.tunnelOver) // as in serve
	}
}

// destination says where a captured connection was going, and notes it for the
// record.
func (c *conn) destination() (Target, *refusal) {
	c.rec.Method = MethodTCP
	ap, err := c.sv.destinationOf(c.client)
	if err != nil {
		c.s.log.Debug("a captured connection without a destination", "client", c.rec.Client, "err", err)
		return Target{}, headRefusal(err)
	}
	asked := Target{Addr: plain(ap.Addr()), Port: ap.Port()}
	c.rec.setTarget(asked)
	target, ok := c.sv.meant(asked)
	if !ok {
		return Target{}, policyRefusal(Decision{Reason: AddressNotAllowed})
	}
	if target == asked && c.isLocalhost(asked) {
		target = Target{Host: "localhost", Port: asked.Port}
	}
	c.rec.setTarget(target)
	return target, nil
}

var errNoDestination = errors.New("proxycore: the connection has no TCP destination")

// destinationOf gives the address that a captured connection was made to.
func (src *source) destinationOf(c net.Conn) (ap netip.AddrPort, err error) {
	if src.original != nil {
		if ap, err = src.original(c); err != nil {
			return ap, fmt.Errorf("proxycore: Capture.Original: %w", err)
		}
	} else if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
		ap = a.AddrPort()
	}
	if !ap.IsValid() || ap.Port() == 0 {
		return ap, errNoDestination
	}
	return ap, nil
}

// meant gives the target that a sandbox means by t: an address that it was told
// for a name means that name. False: an address for names that it was not told,
// which leads nowhere.
func (src *source) meant(t Target) (Target, bool) {
	if src.names == nil || !t.Addr.IsValid() {
		return t, true
	}
	name, pooled := src.names.name(t.Addr)
	switch {
	case !pooled:
		return t, true
	case name == "":
		return t, false
	}
	return Target{Host: name, Port: t.Port}, true
}

// isLocalhost reports whether t, a captured connection's address, stands for the
// name localhost: programs know that name's address without asking, so a policy
// that admits only the name would be of no use.
func (c *conn) isLocalhost(t Target) bool {
	if t.Addr != loopback[0] && t.Addr != loopback[1] {
		return false
	}
	c.s.mu.Lock()
	filter := c.s.filterFor(c.sv.source)
	c.s.mu.Unlock()
	return !filter.Decide(t).Allowed && filter.Decide(Target{Host: "localhost", Port: t.Port}).Allowed
}

// reset closes a connection so that its peer sees it refused, not ended.
func reset(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	c.Close()
}
