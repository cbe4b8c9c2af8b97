// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// connState is how far a connection has come.
type connState uint8

const (
	stateHead    connState = iota // reading the request head
	stateRequest                  // judging, looking up, dialling
	stateTunnel                   // relaying
	stateRecord                   // over, its record is being taken
	stateLinger                   // refused, waiting for the client to go
)

var stateNames = [...]string{"reading the head", "connecting", "in a tunnel", "recording", "lingering"}

// conn is one accepted connection, from accept to its end.
type conn struct {
	s      *Server
	sv     *serving
	client net.Conn

	refused bool // one too many, set before it is served

	// Owned by the connection's goroutine, or before there is one by whoever calls arrived.
	rec      Record
	recorded bool
	early    []byte // of the head, read already
	begun    *begun // what has been dialled already

	// Guarded by s.mu.
	state     connState
	target    Target
	addr      netip.AddrPort     // what the tunnel is connected to
	local     bool               // addr is one of this host's own
	relay     *relay.Tunnel      // it owns both sides
	cancel    context.CancelFunc // ends the lookup or dial in progress
	cut       bool
	cutReason Reason
}

func newConn(sv *serving, client net.Conn) *conn {
	c := &conn{s: sv.s, sv: sv, client: client}
	c.rec.Time = time.Now()
	c.rec.Sandbox = sv.o.Name
	if a := client.RemoteAddr(); a != nil {
		if name := a.String(); name != "@" { // a Unix socket without a name
			c.rec.Client = name
		}
	}
	return c
}

// begin begins to serve the connection.
func (c *conn) begin() {
	if c.s.cfg.HeadTimeout > 0 {
		c.client.SetReadDeadline(c.rec.Time.Add(c.s.cfg.HeadTimeout))
	}
	p, ok := c.client.(relay.Prompt)
	switch {
	case !ok:
		go c.serve()
	case !p.Await(func() { c.arrived(p) }):
		c.arrived(p)
	}
}

// serve is the goroutine of one connection until it has a tunnel.
func (c *conn) serve() {
	tunnel := false
	defer func() {
		if p := recover(); p != nil || !tunnel {
			c.leave(p)
		}
	}()
	head, rest, got, err := readHead(c.client, c.early, c.s.cfg.MaxHeadBytes)
	c.early = nil
	if !c.advance(stateRequest) {
		return
	}
	c.rec.Method = head.method
	switch {
	case errors.Is(err, errHeadCut) && !got:
		return // came and went without a word: not a request
	case err != nil:
		c.refuse(headRefusal(err), "", got)
		return
	}
	c.client.SetReadDeadline(time.Time{})
	if t := c.request(head, rest); t != nil {
		tunnel = true
		t.Start(c.tunnelOver) // no goroutine of ours is left: a tunnel may idle for days
	}
}

// serveOverLimit answers a connection that is one too many.
func (c *conn) serveOverLimit(mayLinger bool) {
	defer func() { c.leave(recover()) }()
	switch c.sv.entry {
	case captured:
		c.destination() // for the record
	case queries:
		c.rec.Method = MethodDNS
	}
	if !c.advance(stateRequest) {
		return
	}
	if c.sv.entry != requests {
		c.deny(limitRefusal)
		return
	}
	if mayLinger {
		c.refuse(limitRefusal, "", true)
		return
	}
	c.deny(limitRefusal)
	writeReply(c.client, limitRefusal.wire("", ""))
}

// leave ends the connection. A panic, in p, ends only the connection it
// happened in.
func (c *conn) leave(p any) {
	c.close()
	c.begun.drop()
	if p != nil {
		c.s.log.Error("a connection's handler panicked", "client", c.rec.Client, "target", c.rec.Host, "panic", p, "stack", string(debug.Stack()))
		c.giveUp()
	}
	c.s.mu.Lock()
	c.s.forget(c)
	c.s.mu.Unlock()
}

// advance moves to the next state; false means that the connection was cut.
func (c *conn) advance(to connState) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.cut {
		return false
	}
	c.state = to
	return true
}

// markCut notes that the connection is to be cut. s.mu is held; the caller calls
// cutAll after releasing it, because closing a foreign connection may block.
func (c *conn) markCut(why Reason) {
	if !c.cut {
		c.cut, c.cutReason = true, why
	}
	if c.cancel != nil {
		c.cancel()
	}
}

func cutAll(conns []*conn) {
	for _, c := range conns {
		c.close()
	}
}

// close closes both sides, or the one there is; whoever works on them notices.
func (c *conn) close() {
	c.s.mu.Lock()
	tunnel := c.relay
	c.s.mu.Unlock()
	if tunnel != nil {
		tunnel.Close()
		return
	}
	if c.sv.entry == captured {
		reset(c.client)
		return
	}
	closeOrderly(c.client)
}

// closeOrderly sends the end of the stream before it closes: with unread bytes
// in its queue a socket that is merely closed resets its peer.
func closeOrderly(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	c.Close()
}

// refuse hands in the record, if there was a request, and then answers with r:
// whoever sees the reply can rely on the record. target is the parsed one.
func (c *conn) refuse(r *refusal, target string, record bool) {
	c.begun.drop() // what follows may take seconds
	if record {
		c.deny(r)
	}
	if c.advance(stateLinger) && writeReply(c.client, r.wire(c.rec.Method, target)) == nil {
		linger(c.client)
	}
}

// deny hands in the record of a request that got reply r.
func (c *conn) deny(r *refusal) {
	c.rec.Decision, c.rec.Reason = DecisionDeny, r.reason
	switch r.reason {
	case DNSError, DialError, DialTimeout:
		c.rec.Decision = DecisionAllow
	default:
		c.rec.Rule = r.rule
	}
	c.record()
}

// giveUp hands in the record of a request that ends without a reply: the client
// has gone, the tunnel has been cut already, the server has ended, or the handler
// has panicked.
func (c *conn) giveUp() {
	c.s.mu.Lock()
	why := c.cutReason
	c.s.mu.Unlock()
	c.rec.Decision = cmp.Or(c.rec.Decision, DecisionDeny)
	c.rec.Reason = cmp.Or(c.rec.Reason, why, DialError)
	c.record()
}

// describe says for the log what a blocked Close waits for.
func (c *conn) describe() string {
	return fmt.Sprintf("connection of %s to %s (%s)", c.rec.Client, c.target, stateNames[c.state])
}
