// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package external

import (
	"context"
	"net/netip"
	"time"
)

// dialLimit bounds one attempt; loopback answers at once or not at all.
const dialLimit = 250 * time.Millisecond

// listening asks whether anything answers where the child is to listen. Who it is
// and where else it listens cannot be told here; that the child is alive,
// awaitReady checks.
func (t *tree) listening(p place) (listening, error) {
	candidates := []endpoint{{socket: p.socket}}
	if p.socket == "" {
		candidates = nil
		for _, host := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
			candidates = append(candidates, endpoint{addr: netip.AddrPortFrom(host, uint16(p.port))})
		}
	}
	for _, e := range candidates {
		ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
		c, err := e.dial(ctx)
		cancel()
		if err == nil {
			c.Close()
			return listening{at: e}, nil
		}
	}
	return listening{}, nil
}
