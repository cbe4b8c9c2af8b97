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
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	maxHead     = 8 << 10
	dialTimeout = 5 * time.Second
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
	Faults      Faults
}

// Proxy is a running reference proxy.
type Proxy struct {
	o      Options
	policy *policy
	tcp    net.Listener
	unix   net.Listener
	sock   string
	id     os.FileInfo
	ctx    context.Context
	cancel context.CancelFunc
	dead   chan struct{}
	wg     sync.WaitGroup
	slots  chan struct{}

	mu     sync.Mutex
	conns  map[net.Conn]bool // guarded by mu; nil once closed
	leaked []net.Conn        // guarded by mu
	live   int               // tunnels, guarded by mu
	chunk  []byte            // of one of them, for the fault MixesTunnels; guarded by mu
	doors  []net.Listener    // guarded by mu
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
	if p.o.Faults.Has(SocketsLeaked) {
		p.leaked = append(p.leaked, c)
		return
	}
	c.Close()
}

// serve handles one connection: head, decision, dial, answer, relay.
func (p *Proxy) serve(c net.Conn) {
	if p.o.Faults.Has(FewConnections) {
		p.slots <- struct{}{}
		defer func() { <-p.slots }()
	}
	c.SetReadDeadline(time.Now().Add(p.headTimeout()))
	br := bufio.NewReaderSize(c, 2*maxHead)
	trusted := false
	for {
		req, status := readRequest(br, p.o.Faults)
		if status == 0 {
			return // nothing to answer to
		}
		if status == 200 {
			req.trusted = p.o.Faults.Has(TrustsAfterRefusal) && trusted || p.o.Faults.Has(SocketUnfiltered) && p.bySocket(c)
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
	if req.method != "CONNECT" {
		return p.plain(req)
	}
	t, err := parseTarget(req.target, f)
	switch {
	case errors.Is(err, errAddress):
		return 403
	case err != nil:
		return 400
	}
	if f.Has(EarlyAnswer) {
		p.established(c)
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

// decide asks the policy: first about the name or literal, then, once, about what the name resolves to.
func (p *Proxy) decide(req *request, t target) ([]netip.Addr, int) {
	f := p.o.Faults
	if f.Has(ResolvesFirst) && t.name != "" {
		p.lookup(t.name)
	}
	if f.Has(DialsFirst) {
		p.dialFirst(t)
	}
	if t.addr.IsValid() {
		if !req.trusted && !t.open && !p.policy.literal(t.addr, t.port) || p.itself(t) && !f.Has(DialsItself) {
			return nil, 403
		}
		return []netip.Addr{t.addr.Unmap()}, 0
	}
	name := t.name
	if f.Has(HostFieldDecides) {
		if h, err := parseTarget(req.host, f); err == nil {
			name = h.name
		}
	}
	if !req.trusted && !p.policy.name(name, t.port) {
		return nil, 403
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

// checked refuses a name of which one address is not to be reached.
func (p *Proxy) checked(t target, addrs []netip.Addr) ([]netip.Addr, int) {
	f := p.o.Faults
	if f.Has(LocalhostOpen) && isLocalhost(t.name) {
		return addrs, 0
	}
	var good []netip.Addr
	for i, a := range addrs {
		if f.Has(FirstAnswerChecked) && i > 0 || p.policy.address(a, t.port) {
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
	if p.o.Faults.Has(FirstAnswerChecked) {
		addrs = addrs[len(addrs)-1:]
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

// denial is where the faults in the manner of a refusal live.
func (p *Proxy) denial(c net.Conn, status int) int {
	f := p.o.Faults
	switch {
	case f.Has(DenialSilent) && status == 403:
		return 0
	case f.Has(DenialTunnels) && status == 403:
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		return 0
	case f.Has(DenialNotFound) && status == 403:
		return 404
	}
	return status
}

func (p *Proxy) established(c net.Conn) {
	f := p.o.Faults
	switch {
	case f.Has(AnswerHTTP10):
		io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
	case f.Has(AnswerWithLength):
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	default:
		io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
}

var statusText = map[int]string{
	400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
	431: "Request Header Fields Too Large", 501: "Not Implemented", 502: "Bad Gateway",
}

// refuse answers with a status; it reports whether the connection goes on.
func (p *Proxy) refuse(c net.Conn, req *request, status int) bool {
	f := p.o.Faults
	what := "the request"
	if req != nil && status != 400 && !f.Has(BodySilent) {
		what = req.target
	}
	body := fmt.Sprintf("%s was refused: %s\n", what, statusText[status])
	keep := f.Has(TrustsAfterRefusal) && status == 403
	var h strings.Builder
	fmt.Fprintf(&h, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n", status, statusText[status])
	if f.Has(BodyTruncated) {
		fmt.Fprintf(&h, "Content-Length: %d\r\n", len(body)+100)
	} else {
		fmt.Fprintf(&h, "Content-Length: %d\r\n", len(body))
	}
	if status == 405 && !f.Has(AllowMissing) {
		h.WriteString("Allow: CONNECT\r\n")
	}
	if !f.Has(ReasonMissing) {
		fmt.Fprintf(&h, "Proxy-Status: refproxy; error=%s; details=\"%s\"\r\n", rfc9209[status], reason[status])
	}
	if !keep {
		h.WriteString("Connection: close\r\n")
	}
	h.WriteString("\r\n")
	if req == nil || req.method != "HEAD" {
		h.WriteString(body)
	}
	_, err := io.WriteString(c, h.String())
	return keep && err == nil
}

var rfc9209 = map[int]string{
	400: "http_request_error", 403: "http_request_denied", 404: "http_request_denied", 405: "http_request_denied",
	408: "http_request_error", 431: "http_request_error", 501: "http_request_error", 502: "connection_refused",
}

var reason = map[int]string{
	400: "malformed_request", 403: "host_not_allowed", 404: "host_not_allowed", 405: "method_not_allowed",
	408: "malformed_request", 431: "limit_exceeded", 501: "method_not_allowed", 502: "dial_error",
}

// linger lets the client read the answer before the connection goes: bytes nobody has read would turn the
// close into a reset.
func (p *Proxy) linger(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	io.Copy(io.Discard, io.LimitReader(c, 1<<20))
}
