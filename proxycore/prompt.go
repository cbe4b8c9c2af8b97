// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// Most requests that name an address near by can be served as soon as they arrive, to
// the reply, without waiting for anything. Then no goroutine is started for them, since
// starting one and having it run costs as much as all that the proxy itself does. The
// relay's loop calls arrived, which takes the same steps as the goroutine would, with
// the same functions, but where a step might wait, be refused, or have to call a hook, it
// leaves the connection to a goroutine that begins again with what was read.

// arrived is called once, when there is something of the request or never will be. It
// must not wait.
func (c *conn) arrived(client relay.Prompt) {
	started := false
	defer func() {
		if p := recover(); p != nil {
			go c.leave(p)
		} else if !started {
			go c.serve()
		}
	}()
	pooled := headBuffers.Get().(*headBuffer)
	defer headBuffers.Put(pooled)
	buf := pooled[:min(c.s.cfg.MaxHeadBytes, len(pooled))]
	n := client.TryRead(buf)
	if n == 0 {
		return
	}
	var p headParser
	if done, err := p.feed(buf[:n]); done && err == nil {
		c.rec.Method = p.head.method
		h, judgedBy := c.atOnce(p.head)
		if h.conn != nil {
			started = true
			c.startAtOnce(client, h, judgedBy, bytes.Clone(buf[p.off:n]))
			return
		}
	}
	c.early = bytes.Clone(buf[:n])
}

// atOnce connects to the target of a request, if that is admitted and takes no time.
// What is begun meanwhile, and how it ended, is in c.begun.
func (c *conn) atOnce(head requestHead) (hop, *Filter) {
	if !interfaces.isFresh() {
		return hop{}, nil // to ask the system for its addresses takes its time
	}
	if head.method != http.MethodConnect || c.s.cfg.Dial != nil || c.s.cfg.Upstream != nil || c.s.cfg.Route != nil {
		return hop{}, nil
	}
	t, err := ParseTarget(head.target)
	if err != nil {
		return hop{}, nil
	}
	t, ok := c.sv.meant(t)
	if !ok || t.Host != "" && len(c.s.pins[t.Host]) != 1 {
		return hop{}, nil
	}
	c.rec.setTarget(t)
	if !c.advance(stateRequest) {
		return hop{}, nil
	}
	filter, d := c.decide(t)
	if !d.Allowed {
		return hop{}, nil
	}
	// There is nothing to look up: it is an address, or pinned to one.
	addrs, refused := c.lookUp(context.Background(), filter, t)
	if refused != nil || len(addrs) != 1 {
		return hop{}, nil
	}
	ap := netip.AddrPortFrom(addrs[0], t.Port)
	if !isChecked(ap) {
		return hop{}, nil
	}
	conn, done, err := relay.Begin(ap, c.client)
	if !done || err != nil {
		c.begun = &begun{dialed{conn, ap, err}, done}
		return hop{}, nil
	}
	c.rec.Decision, c.rec.Rule = DecisionAllow, d.Rule
	c.rec.setAddress(ap)
	return hop{conn: conn, addr: ap}, filter
}

// startAtOnce makes the tunnel. rest is what came behind the head.
func (c *conn) startAtOnce(client relay.Prompt, h hop, judgedBy *Filter, rest []byte) {
	tunnel := c.tunnel(h, rest)
	ok, refused := c.establish(judgedBy, tunnel, h.addr)
	if ok && client.TryWrite([]byte(established)) {
		client.SetReadDeadline(time.Time{})
		tunnel.Start(c.tunnelOver)
		return
	}
	go func() {
		defer func() { c.leave(recover()) }()
		switch {
		case refused != nil:
			h.conn.Close()
			c.refuse(refused, c.target.String(), true)
		case !ok:
			h.conn.Close()
			c.giveUp()
		default:
			c.giveUp() // leave closes the tunnel
		}
	}()
}

// begun is a connection that was begun before there was a goroutine to wait for it.
type begun struct {
	dialed
	done bool
}

// drop closes what nobody took.
func (b *begun) drop() {
	if b != nil && b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}

// dial connects to one of the checked addresses, or goes on with what was begun.
func (c *conn) dial(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, netip.AddrPort, error) {
	b := c.begun
	if b == nil || len(addrs) != 1 || b.addr != netip.AddrPortFrom(addrs[0], port) || b.conn == nil && !b.done {
		return c.s.dial(ctx, addrs, port)
	}
	c.begun = nil
	if b.done {
		return nil, b.addr, b.err
	}
	conn, err := relay.Finish(ctx, b.conn, c.s.cfg.DialTimeout)
	return conn, b.addr, err
}
