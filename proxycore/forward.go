// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// forwarder relays the connections of one listener to a proxy's TCP address.
type forwarder struct {
	l    net.Listener
	addr string
	ctx  context.Context // ends the dials
	stop context.CancelFunc
	wg   sync.WaitGroup // the accept loop and the connections

	mu    sync.Mutex // guards the fields below
	conns map[net.Conn]struct{}
	over  bool
}

// forward is the Attach of a backend that has none.
func (p *proxy) forward(l net.Listener, o Listening) (detach func(), err error) {
	switch {
	case o.Filter != nil:
		err = ErrNoFilter
	case o.MaxConns > 0:
		err = fmt.Errorf("proxycore: this backend counts its own connections and cannot limit one listener's; leave Listening.MaxConns 0: %w", errors.ErrUnsupported)
	case !p.c.Addr.IsValid():
		err = fmt.Errorf("proxycore: this proxy has no TCP address to relay to: %w", errors.ErrUnsupported)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	f := &forwarder{l: l, addr: p.c.Addr.String(), conns: make(map[net.Conn]struct{})}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.wg.Add(1)
	go f.run()
	return f.close, nil
}

func (f *forwarder) run() {
	defer f.wg.Done()
	defer f.l.Close()
	// There is nobody to tell of a listener that fails: its clients see it closed.
	_ = acceptLoop(f.l, f.ctx.Done(), slog.New(slog.DiscardHandler), func(c net.Conn) {
		if !f.add(c) {
			c.Close()
			return
		}
		f.wg.Add(1)
		go f.serve(c)
	})
}

// serve relays one connection.
func (f *forwarder) serve(client net.Conn) {
	defer f.wg.Done()
	defer f.remove(client)
	ctx, cancel := context.WithTimeout(f.ctx, defaultDialTimeout)
	defer cancel()
	var d net.Dialer
	upstream, err := d.DialContext(ctx, "tcp", f.addr)
	if err != nil {
		return
	}
	defer f.remove(upstream)
	if f.add(upstream) {
		relay.Run(client, upstream, relay.Options{})
	}
}

// add keeps track of c; false means that the forwarder is closed.
func (f *forwarder) add(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.conns[c] = struct{}{}
	}
	return !f.over
}

func (f *forwarder) remove(c net.Conn) {
	f.mu.Lock()
	delete(f.conns, c)
	f.mu.Unlock()
	c.Close()
}

func (f *forwarder) close() {
	f.mu.Lock()
	f.over = true
	conns := make([]net.Conn, 0, len(f.conns))
	for c := range f.conns {
		conns = append(conns, c)
	}
	f.mu.Unlock()
	f.stop()
	f.l.Close()
	for _, c := range conns {
		closeOrderly(c)
	}
	f.wg.Wait()
}
