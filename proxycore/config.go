// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"time"
)

// Resolver turns a name into addresses. [net.Resolver] is one.
type Resolver interface {
	// LookupNetIP looks host up. The server asks with network "ip" and an
	// absolute name (one trailing dot), so that no search list applies.
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config says how a server behaves. The zero value denies everything, within
// sane limits. A Config is data and hooks only; it may be copied.
type Config struct {
	// Filter decides which targets are admitted. Nil denies everything.
	Filter *Filter

	// Hosts pins the addresses of names: such a name is never asked from the
	// resolver, and its addresses are checked by the filter like any answer.
	// Names are canonical (lower case, A-labels, no trailing dot). An empty
	// address list is an error at start.
	Hosts map[string][]netip.Addr

	// Resolver, if non-nil, is asked for names instead of Go's own resolver.
	Resolver Resolver

	// Dial, if non-nil, is called instead of a [net.Dialer]. The network is
	// always "tcp" and the address an IP:port that the filter has admitted.
	// It must honour ctx. The connection should have a CloseWrite method,
	// otherwise half-closes cannot be carried.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Upstream, if non-nil, is the proxy that every admitted request goes through:
	// no target is ever dialled directly then, whatever fails. The filter judges
	// first, and of what it refuses the upstream sees nothing. Dial and Resolver
	// are not used to reach the upstream itself.
	Upstream *Upstream
	// Route, if non-nil, is asked instead of Upstream, once for each request that
	// the filter admits by its name or address: the upstream to go through, or nil
	// for a direct connection. An error answers the request with 502. It is called
	// by many goroutines at once and must not block. Upstream, if set as well, is what
	// no direct connection may lead to, by whatever name: one of those Route gives.
	Route func(Target) (*Upstream, error)

	// HeadTimeout bounds the reading of the whole request head, from accept on.
	// Zero means 10 s, negative no bound.
	HeadTimeout time.Duration
	// DialTimeout bounds the name lookup, and then once more all connection
	// attempts of a request together: through an upstream, everything until its
	// reply has been read. Zero means 10 s, negative no bound.
	DialTimeout time.Duration
	// IdleTimeout ends a tunnel that carried no byte either way for so long.
	// Zero and negative mean no limit.
	IdleTimeout time.Duration
	// TunnelTimeout ends a tunnel that old. Zero and negative mean no limit.
	TunnelTimeout time.Duration

	// MaxHeadBytes bounds the request head, its last line end included.
	// Zero and negative mean 8192.
	MaxHeadBytes int
	// MaxConns bounds the connections served at once, over all listeners; one
	// more is answered 503, or reset when it was captured. Zero means as many as the process's descriptor limit
	// has room for at two descriptors each; negative means no bound.
	MaxConns int

	// Logger, if non-nil, receives operational messages. Nil discards them.
	Logger *slog.Logger

	// Record, if non-nil, is called once for each request when it is over, never
	// twice at a time. A request without a record would be a hole in the audit
	// trail, so an error (a full disk) or a panic closes the server and is what
	// [Server.Err] and [Handle.Err] report.
	//
	// To end the proxy it returns an error. It must not call Close, Shutdown or a
	// detach function, nor wait for who does: all of them wait for the hooks in
	// progress, and would wait for ever. It may call SetFilter.
	Record func(Record) error
}

// Listening says how one listener is served.
type Listening struct {
	// Name is the sandbox's name in the records.
	Name string
	// Filter, if non-nil, judges this listener's requests instead of the
	// server's. [Server.SetFilter] does not change it, [Server.ReplaceFilter] does.
	Filter *Filter
	// MaxConns bounds the connections of this listener served at once, or those
	// of all the sockets of one [Capture], so that it cannot take all the places
	// of [Config].MaxConns from the others; one more is answered 503, or reset when
	// it was captured. Zero and negative mean no bound of its own.
	MaxConns int
}

// Defaults of [Config].
const (
	defaultHeadTimeout  = 10 * time.Second
	defaultDialTimeout  = 10 * time.Second
	defaultMaxHeadBytes = 8 << 10
)

// withDefaults returns c with every zero value replaced by what it stands for.
func (c Config) withDefaults() Config {
	if c.HeadTimeout == 0 {
		c.HeadTimeout = defaultHeadTimeout
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = defaultDialTimeout
	}
	if c.MaxHeadBytes <= 0 {
		c.MaxHeadBytes = defaultMaxHeadBytes
	}
	if c.MaxConns == 0 {
		c.MaxConns = defaultMaxConns()
	}
	if c.MaxConns < 0 {
		c.MaxConns = math.MaxInt
	}
	if c.Resolver == nil {
		// Go's own resolver: the C library's would take a thread for each
		// lookup and cannot be cancelled.
		c.Resolver = &net.Resolver{PreferGo: true}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
