// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// forwarder relays the connections of one listener to a proxy.
type forwarder struct {
	l    net.Listener
	dial func(context.Context) (net.Conn, error)
	hook bool            // dial is HandleConfig.Dial, which may close its connections
	ctx  context.Context // ends the dials
	stop context.CancelFunc
	wg   sync.WaitGroup // the accept loop and the connections

	mu      sync.Mutex // guards the fields below
	tunnels map[*relay.Tunnel]struct{}
	over    bool
}

// forward is the Attach of a backend that has none.
func (p *proxy) forward(l net.Listener, o Listening) (detach func(), err error) {
	switch {
	case o.Filter != nil:
		err = ErrNoFilter
	case o.MaxConns > 0:
		err = fmt.Errorf("proxycore: this backend counts its own connections and cannot limit one listener's; leave Listening.MaxConns 0: %w", errors.ErrUnsupported)
	case p.c.Dial == nil && !p.c.Addr.IsValid() && p.c.Socket == "":
		err = fmt.Errorf("proxycore: this proxy has no address to relay to: %w", errors.ErrUnsupported)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	f := &forwarder{l: l, dial: p.dial, hook: p.c.Dial != nil, tunnels: make(map[*relay.Tunnel]struct{})}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.wg.Add(1)
	go f.run()
	return f.close, nil
}

// dial connects to the proxy.
func (p *proxy) dial(ctx context.Context) (net.Conn, error) {
	if p.c.Dial != nil {
		return p.c.Dial(ctx)
	}
	var d net.Dialer
	if !p.c.Addr.IsValid() {
		return d.DialContext(ctx, "unix", p.c.Socket)
	}
	return d.DialContext(ctx, "tcp", p.c.Addr.String())
}

func (f *forwarder) run() {
	defer f.wg.Done()
	defer f.l.Close()
	// There is nobody to tell of a listener that fails: its clients see it closed.
	_ = acceptLoop(f.l, f.ctx.Done(), slog.New(slog.DiscardHandler), func(c net.Conn) {
		f.wg.Add(1)
		go f.serve(c)
	})
}

// serve relays one connection.
func (f *forwarder) serve(client net.Conn) {
	defer f.wg.Done()
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	slow := time.AfterFunc(defaultDialTimeout, cancel)
	upstream, err := f.dial(ctx)
	if !slow.Stop() && err == nil {
		upstream.Close()
		err = ctx.Err()
	}
	if err != nil {
		closeOrderly(client)
		return
	}
	t := relay.New(client, upstream, relay.Options{Shared: f.hook})
	if !f.add(t) {
		t.Close()
		return
	}
	t.Run()
	f.mu.Lock()
	delete(f.tunnels, t)
	f.mu.Unlock()
}

// add keeps track of t; false means that the forwarder is closed.
func (f *forwarder) add(t *relay.Tunnel) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.tunnels[t] = struct{}{}
	}
	return !f.over
}

func (f *forwarder) close() {
	f.mu.Lock()
	f.over = true
	tunnels := slices.Collect(maps.Keys(f.tunnels))
	f.mu.Unlock()
	f.stop()
	f.l.Close()
	for _, t := range tunnels {
		t.Close()
	}
	f.wg.Wait()
}
