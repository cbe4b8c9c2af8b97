// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// BenchmarkCapturedSetUp is BenchmarkSetUp for a connection that is captured: one
// byte to the origin and back, and the end.
func BenchmarkCapturedSetUp(b *testing.B) {
	origin := echo(b)
	target := netip.MustParseAddrPort(origin.Addr().String())
	h, err := BuiltIn{Port: -1, Config: Config{Filter: allowing(b, target.String())}}.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	l := listen(b)
	if _, err := h.Capture(Capture{
		Connections: []net.Listener{l},
		Original:    func(net.Conn) (netip.AddrPort, error) { return target, nil },
	}, Listening{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		reply := make([]byte, 1)
		for pb.Next() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Error(err)
				return
			}
			io.WriteString(c, "x")
			if _, err := io.ReadFull(c, reply); err != nil {
				b.Error(err)
			}
			c.Close()
		}
	})
}

// BenchmarkNameReply is a query without the network.
func BenchmarkNameReply(b *testing.B) {
	for name, query := range map[string]string{"known": "github.com.", "refused": "evil.example.com."} {
		b.Run(name, func(b *testing.B) {
			n, _ := testServer(allowing(b, DefaultDevAllowlist()...))
			n.refuse = func(string, Decision) {}
			msg, out := ask(b, query, dnsmessage.TypeA, withEDNS(1232, 0, ".")), make([]byte, 0, 512)
			b.ReportAllocs()
			for b.Loop() {
				if n.reply(out, msg, true) == nil {
					b.Fatal("no reply")
				}
			}
		})
	}
}

// BenchmarkNamePool is the lookups that a query and a captured connection make.
func BenchmarkNamePool(b *testing.B) {
	var p namePool
	b.ReportAllocs()
	for b.Loop() {
		v4, _, _ := p.addresses("github.com")
		if name, _ := p.name(v4); name == "" {
			b.Fatal("no name")
		}
	}
}
