// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

// decide asks the policy: first about the name or literal, then, once, about what the name resolves to.
func (p *Proxy) decide(req *request, t target) ([]netip.Addr, int) {
	f := p.o.Faults
	if f.Has(ResolvesFirst) && t.name != "" {
		p.lookup(t.name)
	}
	if f.Has(DialsFirst) {
		p.dialFirst(t)
	}
	if !p.admitted(req, t) {
		return nil, 403
	}
	if t.addr.IsValid() {
		return []netip.Addr{t.addr.Unmap()}, 0
	}
	if f.Has(LocalhostOpen) && isLocalhost(t.name) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, 0
	}
	if h, err := parseTarget(req.host, f); err == nil && f.Has(HostFieldDialled) {
		t.name = h.name
	}
	addrs, err := p.lookup(t.name)
	if err != nil || len(addrs) == 0 {
		if f.Has(LookupFailureForbidden) {
			return nil, 403
		}
		return nil, 502
	}
	return p.checked(t, addrs)
}

// admitted asks the policy about the name or literal.
func (p *Proxy) admitted(req *request, t target) bool {
	f := p.o.Faults
	if t.addr.IsValid() {
		return (req.trusted || t.open || p.rules().literal(t.addr, t.port)) && (!p.itself(t) || f.Has(DialsItself))
	}
	name := t.name
	if f.Has(HostFieldDecides) {
		if h, err := parseTarget(req.host, f); err == nil {
			name = h.name
		}
	}
	return req.trusted || p.rules().name(name, t.port)
}

// checked refuses a name of which one address is not to be reached.
func (p *Proxy) checked(t target, addrs []netip.Addr) ([]netip.Addr, int) {
	f := p.o.Faults
	var good []netip.Addr
	for i, a := range addrs {
		if f.Has(FirstAnswerChecked) && i > 0 || p.rules().address(a, t.port) {
			good = append(good, a)
		}
	}
	if f.Has(MixedFiltered) && len(good) > 0 || f.Has(FirstAnswerChecked) && len(good) == len(addrs) {
		return good, 0
	}
	if len(good) < len(addrs) {
		return nil, 403
	}
	if f.Has(LooksUpTwice) {
		if again, err := p.lookup(t.name); err == nil {
			return again, 0
		}
	}
	return good, 0
}

func (p *Proxy) itself(t target) bool {
	a, ok := p.addr().(*net.TCPAddr)
	return ok && t.port == uint16(a.Port) && t.addr.Unmap().IsLoopback()
}

func (p *Proxy) lookup(name string) ([]netip.Addr, error) {
	r := &net.Resolver{PreferGo: true}
	network := "ip"
	if p.o.Faults.Has(OnlyIPv4) {
		network = "ip4"
	}
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	return r.LookupNetIP(ctx, network, name+".")
}

// dialFirst is the fault of asking the network before the policy.
func (p *Proxy) dialFirst(t target) {
	addrs := []netip.Addr{t.addr}
	if t.name != "" {
		addrs, _ = p.lookup(t.name)
	}
	for _, a := range addrs {
		if c, err := net.DialTimeout("tcp", netip.AddrPortFrom(a.Unmap(), t.port).String(), dialTimeout); err == nil {
			c.Close()
			return
		}
	}
}

// dial connects to the first address that answers, and gives up when the client does.
func (p *Proxy) dial(client net.Conn, t target, addrs []netip.Addr) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	var errs []error
	if p.o.Faults.Has(UpgradesHTTP) && t.port == 80 {
		t.port = 443
	}
	if p.o.Faults.Has(FirstAnswerChecked) {
		addrs = addrs[len(addrs)-1:]
	}
	if via := os.Getenv("HTTPS_PROXY"); via != "" && p.o.Faults.Has(EnvironmentProxy) {
		return chain(ctx, strings.TrimPrefix(via, "http://"), t)
	}
	for _, a := range addrs {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(a.Unmap(), t.port).String())
		if err == nil {
			return c.(*net.TCPConn), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// chain asks another proxy for the tunnel, for the fault EnvironmentProxy.
func chain(ctx context.Context, via string, t target) (*net.TCPConn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", via)
	if err != nil {
		return nil, err
	}
	to := fmt.Sprintf("%s:%d", t.name, t.port)
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to)
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(answer, " 200 ") {
		return nil, errors.Join(err, fmt.Errorf("refproxy: %s answered %q", via, answer), c.Close())
	}
	return c.(*net.TCPConn), nil
}
