// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// eachWay runs f directly and through an upstream of each kind. The upstream is the
// origin itself, so that what is compared is this proxy's own part.
func eachWay(b *testing.B, f func(b *testing.B, proxy, target string)) {
	b.Run("direct", func(b *testing.B) {
		proxy, target := startBench(b)
		f(b, proxy, target)
	})
	cert, pool := authority(b, time.Now().Add(time.Hour))
	for _, scheme := range []string{"http", "unix", "socks5h", "https"} {
		b.Run(scheme, func(b *testing.B) {
			l := listen(b)
			switch scheme {
			case "unix":
				l = listenUnix(b)
			case "https":
				l = listenTLS(b, cert)
			}
			go echoAsUpstream(l, scheme == "socks5h")
			up, err := ParseUpstream(scheme + "://" + l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			const target = "192.0.2.1:443"
			f(b, startBenchWith(b, Config{Filter: allowing(b, target), Upstream: up.WithRoots(pool)}), target)
		})
	}
}

// echoAsUpstream opens every tunnel and answers what comes through with itself.
func echoAsUpstream(l net.Listener, socks bool) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if socks {
				socksServe(c, false, 0)
			} else {
				var head []byte
				for buf := make([]byte, 4096); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
					n, err := c.Read(buf)
					if head = append(head, buf[:n]...); err != nil {
						return
					}
				}
				established200(c, "")
			}
			io.Copy(c, c)
		}()
	}
}
