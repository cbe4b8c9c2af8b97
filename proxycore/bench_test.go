// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"io"
	"net"
	"testing"
)

// echo answers everything with itself.
func echo(b *testing.B) net.Listener {
	l := listen(b)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	return l
}

func startBench(b *testing.B) (proxy, target string) {
	l := echo(b)
	return startBenchWith(b, Config{Filter: allowing(b, l.Addr().String())}), l.Addr().String()
}

func startBenchWith(b *testing.B, c Config) (proxy string) {
	h, err := BuiltIn{Config: c}.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.Close() })
	return h.Addr()
}

// BenchmarkSetUp is a connection to the proxy, CONNECT, one byte to the origin
// and back, and the end; client and origin are in this process, too.
func BenchmarkSetUp(b *testing.B) { eachWay(b, benchmarkSetUp) }

func benchmarkSetUp(b *testing.B, proxy, target string) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		request, reply := head(target)+"x", make([]byte, len(established)+1)
		for pb.Next() {
			c, err := net.Dial("tcp", proxy)
			if err != nil {
				b.Error(err)
				return
			}
			io.WriteString(c, request)
			if _, err := io.ReadFull(c, reply); err != nil {
				b.Error(err)
			}
			c.Close()
		}
	})
}

// BenchmarkRefusal is a connection and a CONNECT that the policy refuses.
func BenchmarkRefusal(b *testing.B) {
	proxy, _ := startBench(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := net.Dial("tcp", proxy)
			if err != nil {
				b.Error(err)
				return
			}
			io.WriteString(c, head("evil.com:443"))
			io.Copy(io.Discard, c)
			c.Close()
		}
	})
}

// BenchmarkThroughput sends through a tunnel and back.
func BenchmarkThroughput(b *testing.B) { eachWay(b, benchmarkThroughput) }

func benchmarkThroughput(b *testing.B, proxy, target string) {
	c := dialProxy(b, proxy)
	if got := c.status(head(target)); got != 200 {
		b.Fatalf("status %d", got)
	}
	chunk := make([]byte, 256<<10)
	b.SetBytes(2 * int64(len(chunk)))
	done := make(chan struct{})
	go func() { defer close(done); io.Copy(io.Discard, c.r) }()
	for b.Loop() {
		if _, err := c.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	c.CloseWrite()
	<-done
}

func BenchmarkHead(b *testing.B) {
	in := []byte("CONNECT github.com:443 HTTP/1.1\r\nHost: github.com:443\r\nUser-Agent: curl/8.5.0\r\nProxy-Connection: Keep-Alive\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		var p headParser
		if done, err := p.feed(in); !done || err != nil {
			b.Fatal(err)
		}
	}
}
