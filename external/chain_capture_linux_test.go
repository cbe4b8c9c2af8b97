// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"net"
	"net/netip"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Connections that do not know of the proxy go through the filter and the external proxy, too.
func TestChainCaptures(t *testing.T) {
	t.Parallel()
	h := chainOf(t, Spec{Argv: fake(t, "serve")}, ChainOptions{})
	if !h.Filter().Decide(proxycore.Target{Host: "github.com", Port: 443}).Allowed {
		t.Error("the chain does not tell its filter")
	}
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"198.51.100.7:443"}, Deny: []string{"198.51.100.8"}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	going := make(chan netip.AddrPort, 1)
	original := func(net.Conn) (netip.AddrPort, error) { return <-going, nil }
	if _, err := h.Capture(proxycore.Capture{Connections: []net.Listener{l}, Original: original}, proxycore.Listening{Filter: f}); err != nil {
		t.Fatalf("Capture: %v", err)
	}
	for to, want := range map[string]bool{"198.51.100.7:443": true, "198.51.100.8:443": false} {
		going <- netip.MustParseAddrPort(to)
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := echoes(t, c); got != want {
			t.Errorf("a connection to %s carries bytes: %t, want %t", to, got, want)
		}
	}
}
