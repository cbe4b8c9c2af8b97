// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"net"
	"net/netip"
)

// HandleConfig describes a running proxy to [NewHandle].
type HandleConfig struct {
	Addr      netip.AddrPort
	CABundle  string
	Attach    func(l net.Listener, o Listening) (detach func(), err error)
	SetFilter func(*Filter) error
	Shutdown  func(context.Context) error
	Close     func() error
	// NoProxy, if non-nil, gives the [Bouquet].NoProxy of Environ.
	NoProxy func() string
}

// Handle is a running proxy.
type Handle struct{ c HandleConfig }

func NewHandle(c HandleConfig) (h *Handle, fail func(error)) { return &Handle{c: c}, func(error) {} }
func (h *Handle) Port() int                                  { return int(h.c.Addr.Port()) }
func (h *Handle) Addr() string                               { return h.c.Addr.String() }
func (h *Handle) SocketPath() string                         { return "" }
func (h *Handle) CABundle() string                           { return h.c.CABundle }
func (h *Handle) Environ(base []string) []string             { return base }
func (h *Handle) Attach(l net.Listener, o Listening) (detach func(), err error) {
	return nil, nil
}
func (h *Handle) SetFilter(f *Filter) error                          { return nil }
func (h *Handle) WithSocket(path string, close func() error) *Handle { return h }
func (h *Handle) Done() <-chan struct{}                              { return nil }
func (h *Handle) Err() error                                         { return nil }
func (h *Handle) Shutdown(ctx context.Context) error                 { return nil }
func (h *Handle) Close() error                                       { return nil }
