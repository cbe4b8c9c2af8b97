// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// request serves one request: parse, judge, look up, judge the addresses, dial,
// answer, always in this order. It returns nil when there is no tunnel. rest is
// what followed the head.
func (c *conn) request(head requestHead, rest []byte) *relay.Tunnel {
	if head.method != http.MethodConnect {
		c.refuse(methodRefusal, "", true)
		return nil
	}
	target, err := ParseTarget(head.target)
	if err != nil {
		c.refuse(headRefusal(err), "", true)
		return nil
	}
	target, ok := c.sv.meant(target)
	c.rec.setTarget(target)
	if !ok {
		c.refuse(policyRefusal(Decision{Reason: AddressNotAllowed}), target.String(), true)
		return nil
	}
	tunnel, refused := c.connect(target, rest)
	if refused != nil {
		c.refuse(refused, target.String(), true)
		return nil
	}
	if tunnel == nil || writeReply(c.client, []byte(established)) != nil {
		c.giveUp()
		return nil
	}
	return tunnel
}

// connect does everything between parsing and the reply. Without a tunnel and
// without a refusal the client is gone or the server has ended.
func (c *conn) connect(t Target, rest []byte) (*relay.Tunnel, *refusal) {
	filter, d := c.decide(t)
	if !d.Allowed {
		return nil, policyRefusal(d)
	}
	c.rec.Decision, c.rec.Rule = DecisionAllow, d.Rule

	ctx, cancel := context.WithCancel(c.s.ctx)
	defer cancel()
	if !c.cancelWith(cancel) {
		return nil, nil
	}
	w := watchClient(c.client, len(rest) == 0, cancel)
	h, refused := c.reach(ctx, filter, t)
	early, gone := w.stop()
	if !c.cancelWith(nil) || gone {
		refused = nil // there is nobody left to tell
	} else if refused == nil {
		tunnel := c.tunnel(h, append(rest, early...))
		var ok bool
		if ok, refused = c.establish(filter, tunnel, h.addr); ok {
			return tunnel, nil
		}
	}
	if h.conn != nil {
		h.conn.Close()
	}
	return nil, refused
}

// decide asks the filter in force about the target.
func (c *conn) decide(t Target) (*Filter, Decision) {
	c.s.mu.Lock()
	c.target = t
	filter := c.s.filterFor(c.sv.source)
	c.s.mu.Unlock()
	return filter, filter.Decide(t)
}

// tunnel makes a tunnel to h. prefix is what the client has sent for it already.
func (c *conn) tunnel(h hop, prefix []byte) *relay.Tunnel {
	return relay.New(c.client, h.conn, relay.Options{
		Prefix:       prefix,
		DownPrefix:   h.early,
		IdleTimeout:  c.s.cfg.IdleTimeout,
		TotalTimeout: c.s.cfg.TunnelTimeout,
		Shared:       c.s.cfg.Dial != nil,   // whoever made the connection may close it
		Prompt:       c.s.cfg.Record == nil, // see tunnelOver
	})
}

// hop is the far side of a tunnel: the origin, or an upstream on the way to it.
type hop struct {
	conn  net.Conn
	early []byte         // what the upstream sent behind its reply
	addr  netip.AddrPort // where the tunnel leads; invalid if only the upstream knows
}

// reach chooses the way, resolves, judges the addresses and connects. Where an
// upstream applies there is no path from here to a direct connection.
func (c *conn) reach(ctx context.Context, filter *Filter, t Target) (hop, *refusal) {
	up, err := c.s.route(t)
	if err != nil {
		c.s.log.Debug("no way to the target", "target", t.String(), "err", err)
		return hop{}, routeRefusal
	}
	var addrs []netip.Addr
	if up == nil || c.s.resolvesFor(up, t) {
		var refused *refusal
		if addrs, refused = c.lookUp(ctx, filter, t); refused != nil {
			return hop{}, refused
		}
	}
	if up != nil {
		return c.chain(ctx, up, t, addrs)
	}
	if refused := c.s.checkDirect(ctx, t, addrs); refused != nil {
		return hop{}, refused
	}
	conn, addr, err := c.dial(ctx, addrs, t.Port)
	if err != nil {
		c.s.log.Debug("dial failed", "target", t.String(), "err", err)
		return hop{}, dialRefusal(err)
	}
	c.rec.setAddress(addr)
	return hop{conn: conn, addr: addr}, nil
}

// lookUp gives the target's addresses, all of them judged.
func (c *conn) lookUp(ctx context.Context, filter *Filter, t Target) ([]netip.Addr, *refusal) {
	addrs := []netip.Addr{t.Addr}
	if t.Host != "" {
		var err error
		if addrs, err = c.s.resolve(ctx, t.Host); err != nil {
			c.s.log.Debug("lookup failed", "target", t.String(), "err", err)
			return nil, dnsRefusal(err)
		}
		if d := filter.DecideAddrs(t, addrs); !d.Allowed {
			return nil, policyRefusal(d)
		}
	}
	if d := c.s.checkLocal(filter, t, addrs); !d.Allowed {
		return nil, policyRefusal(d)
	}
	return addrs, nil
}

// cancelWith sets what cutting the connection cancels; false means that it has
// been cut.
func (c *conn) cancelWith(cancel context.CancelFunc) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.cancel = cancel
	return !c.cut
}

// establish turns the connection into a tunnel, unless it has been cut, or the
// policy has changed since the request was judged and now refuses it.
func (c *conn) establish(judgedBy *Filter, tunnel *relay.Tunnel, addr netip.AddrPort) (bool, *refusal) {
	local := c.s.local.has(plain(addr.Addr()))
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.cut {
		return false, nil
	}
	c.addr, c.local = addr, local
	if now := c.s.filterFor(c.sv.source); now != judgedBy {
		if d := c.judge(now); !d.Allowed {
			return false, policyRefusal(d)
		}
	}
	c.relay, c.state = tunnel, stateTunnel
	return true, nil
}

// judge gives f's verdict on the tunnel, by its target and the address it goes
// to, if that is known. s.mu is held.
func (c *conn) judge(f *Filter) Decision {
	if !c.addr.IsValid() {
		return f.Decide(c.target)
	}
	d := f.DecideAddrs(c.target, []netip.Addr{c.addr.Addr()})
	if d.Allowed && c.local {
		d = f.decideOwn(c.addr.Addr(), c.target.Port)
	}
	return d
}

// tunnelOver is called, in a goroutine if there is a hook to be called, when the tunnel
// has ended.
func (c *conn) tunnelOver(stats relay.Stats) {
	defer func() { c.leave(recover()) }()
	c.rec.BytesUp, c.rec.BytesDown = stats.Up, stats.Down
	c.s.mu.Lock()
	c.rec.Reason = c.cutReason
	c.s.mu.Unlock()
	var p *relay.PanicError
	if errors.As(stats.Err, &p) {
		panic(p)
	}
	c.record()
}

const (
	// watchDelay is how long a lookup and dial may take before the client is
	// watched: most are over by then.
	watchDelay = 100 * time.Millisecond
	// watchBytes bounds what a client may send ahead while it is watched. With
	// more it is not watched any further, and its bytes stay in its socket.
	watchBytes = 64 << 10
	// silentGrace is what a lookup or dial may still take once the client has
	// ended its stream without sending anything for the tunnel. With watchDelay
	// it stays below a second.
	silentGrace = 500 * time.Millisecond
)

// aLongTimeAgo is a deadline that wakes whoever waits on a connection.
var aLongTimeAgo = time.Unix(1, 0)

// watch notices a client that goes away while a slow lookup or dial is in
// progress. The only portable way is to read; what is read is kept.
//
// A reset says that the client has gone. The end of its stream does not: it may
// have sent all it has, and wait for the answer. But one that has sent nothing
// for the tunnel, and never will, is most likely a process that was killed, so
// after that the lookup or dial has only silentGrace more.
type watch struct {
	client net.Conn
	silent bool // nothing was sent behind the head
	cancel func()
	timer  *time.Timer
	quit   chan struct{} // closed by stop
	ended  chan struct{} // closed when run is over; the two below belong to run until then
	early  []byte
	gone   bool
}

func watchClient(client net.Conn, silent bool, cancel func()) *watch {
	w := &watch{client: client, silent: silent, cancel: cancel, quit: make(chan struct{}), ended: make(chan struct{})}
	w.timer = time.AfterFunc(watchDelay, w.run)
	return w
}

func (w *watch) run() {
	defer close(w.ended)
	defer func() {
		if p := recover(); p != nil {
			w.gone = true // a foreign connection type that cannot be read
			w.cancel()
		}
	}()
	err := w.read()
	var timeout net.Error
	switch {
	case err == nil || errors.As(err, &timeout) && timeout.Timeout():
	case err != io.EOF:
		w.gone = true
		w.cancel()
	case w.silent && len(w.early) == 0:
		grace := time.NewTimer(silentGrace)
		defer grace.Stop()
		select {
		case <-grace.C:
			w.cancel()
		case <-w.quit:
		}
	}
}

// read reads until there is an error, which is nil when it has read enough.
func (w *watch) read() error {
	buf := make([]byte, 4<<10)
	for len(w.early) < watchBytes {
		n, err := w.client.Read(buf)
		w.early = append(w.early, buf[:n]...)
		if err != nil {
			return err
		}
	}
	return nil
}

// stop ends the watch. early is what the client has sent meanwhile, gone says
// that it cannot be answered any more.
func (w *watch) stop() (early []byte, gone bool) {
	if w.timer.Stop() {
		return nil, false
	}
	close(w.quit)
	w.client.SetReadDeadline(aLongTimeAgo)
	<-w.ended
	w.client.SetReadDeadline(time.Time{})
	return w.early, w.gone
}
