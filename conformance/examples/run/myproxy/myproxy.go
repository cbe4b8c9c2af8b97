// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package myproxy stands for the proxy you have. This one is the built-in proxy of Sallyport, so that the example shows
// a run without a failure.
package myproxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Version is the version of this proxy.
const Version = "1.0"

// Options are what the proxy is told. The zero value allows nothing, on a port of the system's choice.
type Options struct {
	// Allow and Deny are policy lines; Deny wins.
	Allow, Deny []string
	// Port is the TCP port of 127.0.0.1 to listen on; 0 means a free one.
	Port int
	// Socket is the path of a unix socket to listen on. This proxy has none to offer: anything but "" is an error.
	Socket string
	// Others says that the way out leads through another proxy, or that another program is to be started in place of
	// this proxy. This one does neither: true is an error.
	Others bool
	// HeadTimeout is how long a client may take for the head of its request; 0 means 10 s.
	HeadTimeout time.Duration
	// Log gets what the proxy has to say. It must not be nil.
	Log io.Writer
}

// Proxy is a running proxy.
type Proxy struct{ handle *proxycore.Handle }

// Start returns when the proxy listens, or says why it cannot enforce all of o. ctx bounds the start alone. The caller
// ends the proxy by Stop.
func Start(ctx context.Context, o Options) (*Proxy, error) {
	if o.Socket != "" {
		return nil, errors.New("myproxy: no unix sockets: leave Socket empty")
	}
	if o.Others {
		return nil, errors.New("myproxy: no other proxies: leave Others false")
	}
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: o.Allow, Deny: o.Deny})
	if err != nil {
		return nil, err
	}
	h, err := proxycore.BuiltIn{Port: o.Port, Config: proxycore.Config{
		Filter: filter, HeadTimeout: o.HeadTimeout, Logger: slog.New(slog.NewTextHandler(o.Log, nil)),
	}}.Start(ctx)
	if err != nil {
		return nil, err
	}
	return &Proxy{h}, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.handle.Addr()))
}

// Stop ends the proxy and all its tunnels. It may be called more than once.
func (p *Proxy) Stop(context.Context) error { return p.handle.Close() }
