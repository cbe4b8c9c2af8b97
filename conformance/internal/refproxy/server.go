// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package refproxy is a small, strict egress proxy and sandbox launcher made only to be tested by the
// suite: without faults it has to pass every check, and with one of its named faults exactly the checks
// that watch for it have to fail. It shares no code with any other proxy, so that two implementations
// that were written apart pass the suite, and it uses the standard library alone.
//
// It is not made for use: it has no logging, few limits and no speed.
package refproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxHead = 8 << 10
	// dialTimeout also bounds lookups. With the fault CloseWaits a Stop takes as long: longer than the mutants' bound
	// for it, and not so long that the engine takes it for a Stop that hangs.
	dialTimeout = 2500 * time.Millisecond
)

// Options is what a reference proxy is started with.
type Options struct {
	Allow, Deny []string
	Port        int
	SocketPath  string
	// Bare knows nothing but names: lines that need a policy feature are errors, and so are deny lines
	// and sockets.
	Bare bool
	// NoTCP leaves the TCP listener out.
	NoTCP       bool
	HeadTimeout time.Duration
	// Upstream is the proxy to go through, nil for none.
	Upstream *Upstream
	// Transparent makes the sandboxes capture what goes past the proxy.
	Transparent bool
	// Log gets what the proxy says, which is nothing without a fault.
	Log    io.Writer
	Faults Faults
}

// Proxy is a running reference proxy.
type Proxy struct {
	o      Options
	policy *policy
	up     *upstream // nil for none
	tcp    net.Listener
	unix   net.Listener
	sock   string
	id     os.FileInfo
	ctx    context.Context
	cancel context.CancelFunc
	dead   chan struct{}
	wg     sync.WaitGroup
	slots  chan struct{}
	// tunnels counts them, for the fault FirstByteLost.
	tunnels atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu; nil once closed
	live  int               // tunnels, guarded by mu
	chunk []byte            // of one of them, for the fault MixesTunnels; guarded by mu
	doors []net.Listener    // guarded by mu
}

// Done is closed when the proxy has died through Kill.
func (p *Proxy) Done() <-chan struct{} { return p.dead }

// accept serves a listener until it is closed.
func (p *Proxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !p.track(c) {
			c.Close()
			continue
		}
		p.wg.Go(func() {
			defer p.untrack(c)
			p.serve(c)
		})
	}
}

func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) untrack(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.Close()
}

// serve handles one connection: head, decision, dial, answer, relay.
func (p *Proxy) serve(c net.Conn) {
	if p.o.Faults.Has(FewConnections) {
		p.slots <- struct{}{}
		defer func() { <-p.slots }()
	}
	renew := func() { c.SetReadDeadline(time.Now().Add(p.headTimeout())) }
	renew()
	br := bufio.NewReaderSize(c, 2*maxHead)
	trusted := false
	for {
		req, status := readRequest(br, p.o.Faults, renew)
		if status == 0 {
			return // nothing to answer to
		}
		if status == 200 {
			req.trusted = p.o.Faults.Has(TrustsAfterRefusal) && trusted || p.o.Faults.Has(SocketUnfiltered) && p.bySocket(c) ||
				p.o.Faults.Has(CapturedUnfiltered) && c.LocalAddr().Network() == "unix"
			status = p.handle(c, br, req)
		}
		if status == 0 {
			return
		}
		trusted = true
		if p.o.Faults.Has(DiesOfGarbage) && req == nil && status == 400 {
			p.closeListeners()
		}
		if p.o.Faults.Has(MalformedNotFound) && status == 400 {
			status = 404
		}
		if !p.refuse(c, req, status) {
			p.linger(c)
			return
		}
	}
}

// bySocket reports whether a client came through the socket, for the fault SocketUnfiltered.
func (p *Proxy) bySocket(c net.Conn) bool {
	return p.sock != "" && c.LocalAddr().String() == p.sock
}

func (p *Proxy) headTimeout() time.Duration {
	switch {
	case p.o.Faults.Has(NoHeadTimeout):
		return time.Hour
	case p.o.HeadTimeout > 0:
		return p.o.HeadTimeout
	}
	return 10 * time.Second
}

// handle decides and, if the target is allowed, relays. It returns the status of a refusal, or 0 when the
// connection has been used up.
func (p *Proxy) handle(c net.Conn, br *bufio.Reader, req *request) int {
	f := p.o.Faults
	if f.Has(PagesServed) && req.method == "GET" && req.target == "/metrics" {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntunnels 0")
		return 0
	}
	if req.method != "CONNECT" {
		return p.plain(req)
	}
	t, err := parseTarget(req.target, f)
	switch {
	case errors.Is(err, errAddress):
		return p.denial(c, 403)
	case err != nil:
		p.malformed(req)
		return 400
	}
	if f.Has(EarlyAnswer) {
		p.established(c)
	}
	if p.up != nil && !p.past(c, t) {
		return p.chained(c, br, req, t)
	}
	addrs, status := p.decide(req, t)
	if status != 0 {
		return p.denial(c, status)
	}
	origin, err := p.dial(c, t, addrs)
	if err != nil {
		if f.Has(DialFailureForbidden) {
			return 403
		}
		return 502
	}
	if f.Has(BytesLost) {
		br.Discard(br.Buffered())
	}
	if !f.Has(EarlyAnswer) {
		p.established(c)
	}
	if f.Has(CredentialsForwarded) && req.credentials != "" {
		io.WriteString(origin, "Proxy-Authorization: "+req.credentials+"\r\n")
	}
	if f.Has(FirstByteLost) && p.tunnels.Add(1)%32 == 0 {
		br.ReadByte()
	}
	p.tunnel(c, br, origin)
	return 0
}

// plain answers every method but CONNECT.
func (p *Proxy) plain(req *request) int {
	if p.o.Faults.Has(PlainForwarded) {
		host := strings.TrimPrefix(req.target, "http://")
		host, _, _ = strings.Cut(host, "/")
		if addrs, err := p.lookup(host); err == nil {
			if c, err := net.DialTimeout("tcp", net.JoinHostPort(addrs[0].String(), "443"), dialTimeout); err == nil {
				c.Close()
			}
		}
	}
	if p.o.Faults.Has(MethodNotImplemented) {
		return 501
	}
	return 405
}
