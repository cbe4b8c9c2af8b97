// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package gate is a small CONNECT proxy that writes down whom it let through. It is the subject of the example in
// gate_test.go, not a proxy to copy: baseline.txt says what it does not do.
package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// Gate is a running proxy. Open makes one, Close ends it.
type Gate struct {
	server   *http.Server
	listener net.Listener
	allowed  map[string]bool

	mu     sync.Mutex // guards what follows
	audit  io.Writer
	closed bool
	conns  map[net.Conn]bool // of tunnels, which the server does not know
}

// name is a host name and nothing else, because nothing else can be allowed.
var name = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.[a-z][a-z0-9-]*$`)

// Open listens on a port of 127.0.0.1, 0 for a free one, and lets clients through to ports 443 and 80 of the names. A
// line for each that was let through goes to audit. The caller closes the gate.
func Open(ctx context.Context, names []string, port int, audit io.Writer) (*Gate, error) {
	g := &Gate{allowed: map[string]bool{}, audit: audit, conns: map[net.Conn]bool{}}
	for _, n := range names {
		if !name.MatchString(n) {
			return nil, fmt.Errorf("gate: %q is no host name, and only those can be allowed", n)
		}
		g.allowed[n] = true
	}
	var err error
	g.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	// "OPTIONS *" is not for the server to answer, either.
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, DisableGeneralOptionsHandler: true}
	go g.server.Serve(g.listener)
	return g, nil
}

// Addr is where the gate listens.
func (g *Gate) Addr() net.Addr { return g.listener.Addr() }

// Close ends the gate and all tunnels through it. It may be called more than once.
func (g *Gate) Close() error {
	g.mu.Lock()
	g.closed = true
	for c := range g.conns {
		c.Close()
	}
	g.mu.Unlock()
	return g.server.Close()
}

// ServeHTTP answers one request.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		w.Header().Set("Allow", http.MethodConnect)
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	host, port, err := net.SplitHostPort(r.RequestURI)
	if err != nil {
		http.Error(w, "the target is a host and a port", http.StatusBadRequest)
		return
	}
	if !g.allowed[host] || port != "443" && port != "80" {
		http.Error(w, r.RequestURI+" is not allowed", http.StatusForbidden)
		return
	}
	origin, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(r.Context(), "tcp", r.RequestURI)
	if err != nil {
		http.Error(w, r.RequestURI+" cannot be reached", http.StatusBadGateway)
		return
	}
	client, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		origin.Close()
		return
	}
	if err := g.admit(r.RequestURI, client, origin); err != nil {
		return
	}
	defer g.forget(client, origin)
	io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { relay(origin, buffered) })
	both.Go(func() { relay(client, origin) })
	both.Wait()
}

// admit writes the line of the audit, without which nobody is let through.
func (g *Gate) admit(target string, conns ...net.Conn) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := fmt.Fprintln(g.audit, "allow", target)
	if g.closed {
		err = errors.New("gate: closed")
	}
	for _, c := range conns {
		if err != nil {
			c.Close()
			continue
		}
		g.conns[c] = true
	}
	return err
}

func (g *Gate) forget(conns ...net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(g.conns, c)
	}
}

// relay carries one direction, and its end.
func relay(to net.Conn, from io.Reader) {
	if _, err := io.Copy(to, from); err == nil {
		to.(*net.TCPConn).CloseWrite()
		return
	}
	to.Close()
}
