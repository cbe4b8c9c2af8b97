// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux || noepoll

package relay

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// flow does not exist where there is no epoll; newFlow never gives one.
type flow struct{}

func newFlow(*Tunnel, []byte, []byte) *flow { return nil }

func (*flow) start() {}

func (*flow) cut(error) {}

func listen(l net.Listener) net.Listener { return l }

func dial(ctx context.Context, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
	// Not DialTCP: it binds the local end first, which costs a search for a port
	// that is free for every destination, and runs out of ports much sooner.
	d := net.Dialer{Timeout: max(limit, 0)}
	return d.DialContext(ctx, "tcp", to.String())
}

func begin(netip.AddrPort, net.Conn) (net.Conn, bool, error) { return nil, false, nil }

func finish(_ context.Context, c net.Conn, _ time.Duration) (net.Conn, error) { return c, nil }

func keep() (release func()) { return func() {} }
