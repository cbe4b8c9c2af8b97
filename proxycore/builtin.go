// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// defaultStartTimeout bounds BuiltIn.Start.
const defaultStartTimeout = 5 * time.Second

// BuiltIn starts the proxy of this package. The zero value denies everything
// and listens on an ephemeral port of 127.0.0.1.
type BuiltIn struct {
	Config

	// Addr is the IP address to listen on. "" means 127.0.0.1. Anything but a
	// loopback address offers the proxy to the network, and is logged.
	Addr string
	// Port is the TCP port to listen on. Zero means an ephemeral one, negative
	// none: then the proxy serves only what is attached to its handle.
	Port int
	// CABundle is what [Handle.CABundle] gives: the path of the PEM bundle that
	// clients must trust because Upstream intercepts TLS. "" when it does not.
	// Start does not read it.
	CABundle string
	// JavaTrustStore is what [Handle.JavaTrustStore] gives, the same for Java.
	JavaTrustStore string
	// StartTimeout bounds Start. Zero means 5 s, negative no bound.
	StartTimeout time.Duration
}

// Start returns when the proxy is listening, or an error that says what to do;
// then nothing is left behind. ctx limits only the start: to end the proxy with
// a context, use context.AfterFunc(ctx, func() { h.Close() }).
func (b BuiltIn) Start(ctx context.Context) (*Handle, error) {
	l, err := b.listen(ctx)
	if err != nil {
		return nil, err
	}
	s, err := NewServer(b.Config)
	if err != nil {
		if l != nil {
			l.Close()
		}
		return nil, err
	}
	hc := HandleConfig{
		CABundle:       b.CABundle,
		JavaTrustStore: b.JavaTrustStore,
		Attach:         s.attach,
		Capture:        s.capture,
		Filter:         s.currentFilter,
		SetFilter:      func(f *Filter) error { s.SetFilter(f); return nil },
		ReplaceFilter:  func(old, f *Filter) error { s.ReplaceFilter(old, f); return nil },
		Shutdown:       s.drain,
		Close:          s.Close,
		NoProxy: func() string {
			if s.currentFilter().AdmitsLoopback() {
				return "-"
			}
			return ""
		},
	}
	if l != nil {
		hc.Addr = l.Addr().(*net.TCPAddr).AddrPort()
		hc.Addr = netip.AddrPortFrom(hc.Addr.Addr().Unmap(), hc.Addr.Port())
	}
	h, fail := NewHandle(hc)
	s.onEnd = func(err error) {
		if fail(err); h.Err() == nil {
			s.setLate(err) // Close has begun already, so it must be what says so
		}
	}
	if l != nil {
		sv, err := s.addListener(l, Listening{})
		if err != nil {
			return nil, err
		}
		s.serveMain(sv)
	}
	return h, nil
}

// serveMain serves the proxy's own port: in a loop while nothing is the matter, so that a
// proxy which nobody uses has no goroutine. A sandbox has no part in this listener,
// and cannot make the loop wait for it.
func (s *Server) serveMain(sv *serving) {
	a, ok := sv.l.(relay.Acceptor)
	if ok && a.Serve(func(c net.Conn) { s.admit(sv, c) }, func() { s.acceptMain(sv) }) == nil {
		return
	}
	go s.acceptMain(sv)
}

// acceptMain serves the proxy's own port in a goroutine. Without it the proxy is of no use to
// those who were told the port, so its failure ends the server.
func (s *Server) acceptMain(sv *serving) {
	if err := s.accept(sv); err != nil && !isClosed(sv.stop) {
		s.fail(err)
	}
}

// listen binds the port, or gives nil when there is to be none. The port is
// never released again once its number is known.
func (b BuiltIn) listen(ctx context.Context) (net.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("proxycore: start the proxy: %w", err)
	}
	if b.Port < 0 {
		return nil, nil
	}
	if b.Port > 65535 {
		return nil, fmt.Errorf("proxycore: Port %d: the highest port is 65535", b.Port)
	}
	addr := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if b.Addr != "" {
		var err error
		if addr, err = netip.ParseAddr(b.Addr); err != nil {
			return nil, fmt.Errorf("proxycore: Addr %q is not an IP address; write for example 127.0.0.1 or ::1", b.Addr)
		}
	}
	if !addr.IsLoopback() && b.Logger != nil {
		b.Logger.Warn("the proxy is reachable from beyond this host", "addr", addr.String())
	}
	limit := b.StartTimeout
	if limit == 0 {
		limit = defaultStartTimeout
	}
	ctx, cancel := withTimeout(ctx, limit)
	defer cancel()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its connections cannot be spliced
	l, err := lc.Listen(ctx, "tcp", netip.AddrPortFrom(addr, uint16(b.Port)).String())
	if err != nil {
		return nil, fmt.Errorf("proxycore: start the proxy: %w; choose another address or port (port 0 takes a free one)", err)
	}
	return relay.Listener(l), nil
}
