// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// EX-23: what comes in one piece with the upstream's reply reaches the client.
func TestBytesBehindTheReplyAreDelivered(t *testing.T) {
	t.Parallel()
	cert, pool := authority(t, time.Now().Add(time.Hour))
	const early = "SSH-2.0-x\r\n\r\n\x00"
	tests := []struct {
		name, scheme, reply, early string
	}{
		{"http", "http", "HTTP/1.1 200 OK\r\n\r\n", early},
		{"http, more than a buffer", "http", "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat(early, 10000)},
		{"http, behind a large head", "http", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 8000) + "\r\n\r\n", strings.Repeat(early, 100)},
		{"http, behind an interim response", "http", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", early},
		{"http, an announced length", "http", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", early},
		{"https", "https", "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat(early, 100)},
		{"socks5h", "socks5h", "", strings.Repeat(early, 100)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answer := func(c net.Conn, _ string) {
				io.WriteString(c, tt.reply+tt.early)
				c.Close()
			}
			var up *fakeUpstream
			switch tt.scheme {
			case "https":
				up = newUpstream(t, listenTLS(t, cert), answer)
			case "socks5h":
				up = newRaw(t, func(c net.Conn) {
					io.ReadFull(c, make([]byte, 4))
					c.Write([]byte{5, 0})
					io.ReadFull(c, make([]byte, 7+len("github.com")))
					c.Write(append([]byte{5, 0, 0, 3, 2, 'x', 'y', 1, 1}, tt.early...))
				})
			default:
				up = newUpstream(t, nil, answer)
			}
			w, _ := chained(t, mustUpstream(t, up.url(tt.scheme)).WithRoots(pool), []string{"github.com"}, nil)
			c := w.client()
			if got := c.status(head("github.com:443")); got != 200 {
				t.Fatalf("status %d, want 200", got)
			}
			expect(t, c.r, tt.early)
			expectEOF(t, c.r)
			c.Close()
			if r := w.record(); r.BytesDown != int64(len(tt.early)) {
				t.Errorf("%d bytes counted, want %d", r.BytesDown, len(tt.early))
			}
		})
	}
}

// Nothing is lost or changed when both directions are busy at once.
func TestChainCarriesMuch(t *testing.T) {
	t.Parallel()
	cert, pool := authority(t, time.Now().Add(time.Hour))
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			if scheme == "https" {
				l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
			}
			up := newUpstream(t, l, established200)
			w, _ := chained(t, mustUpstream(t, up.url(scheme)).WithRoots(pool), []string{"github.com"}, nil)
			c := w.client()
			if got := c.status(head("github.com:443")); got != 200 {
				t.Fatalf("status %d, want 200", got)
			}
			o := up.next()
			var wg sync.WaitGroup
			for i, ends := range [][2]net.Conn{{c.TCPConn, o}, {o, c.TCPConn}} {
				data := make([]byte, 4<<20)
				rand.NewChaCha8([32]byte{byte(i)}).Read(data)
				wg.Go(func() {
					ends[0].Write(data)
					ends[0].(interface{ CloseWrite() error }).CloseWrite()
				})
				wg.Go(func() {
					got, err := io.ReadAll(ends[1])
					if err != nil || !bytes.Equal(got, data) {
						t.Errorf("direction %d: %d bytes, %v; want %d", i, len(got), err, len(data))
					}
				})
			}
			wg.Wait()
			if r := w.record(); r.BytesUp != 4<<20 || r.BytesDown != 4<<20 || r.Reason != "" {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

// securely opens a tunnel through an https upstream: the client, and the
// upstream's end of TLS with the connection below it.
func securely(t *testing.T) (w *world, c *client, secure *tls.Conn, raw *net.TCPConn) {
	t.Helper()
	cert, pool := authority(t, time.Now().Add(time.Hour))
	up := newUpstream(t, listenTLS(t, cert), established200)
	w, _ = chained(t, mustUpstream(t, up.url("https")).WithRoots(pool), []string{"github.com"}, nil)
	c = w.client()
	if got := c.status(head("github.com:443")); got != 200 {
		t.Fatalf("status %d, want 200", got)
	}
	secure = up.next().(*tls.Conn)
	return w, c, secure, secure.NetConn().(*net.TCPConn)
}

// A stream that ends without a close_notify has been cut off, by whomever, and the
// client must not take it for complete.
func TestUpstreamCutOffIsAReset(t *testing.T) {
	t.Parallel()
	_, c, _, raw := securely(t)
	raw.CloseWrite()
	if _, err := c.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want a reset", err)
	}
}

func TestClientResetIsNoCloseNotify(t *testing.T) {
	t.Parallel()
	_, c, secure, _ := securely(t)
	c.SetLinger(0)
	c.Close()
	if _, err := secure.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read: %v, want anything but an orderly end", err)
	}
}

func TestCloseEndsATLSTunnelInOrder(t *testing.T) {
	t.Parallel()
	w, c, secure, _ := securely(t)
	w.h.Close()
	expectEOF(t, secure)
	expectEOF(t, c.r)
}

// With an upstream that has stopped reading, a writer is stuck in TLS. That keeps
// nobody from ending the tunnel.
func TestCloseWithAStuckTLSWriter(t *testing.T) {
	t.Parallel()
	for _, half := range []bool{false, true} {
		w, c, _, _ := securely(t)
		full := make(chan struct{})
		go func() {
			defer close(full)
			c.SetWriteDeadline(time.Now().Add(time.Second))
			for {
				if _, err := c.Write(make([]byte, 64<<10)); err != nil {
					break
				}
			}
			if half {
				c.CloseWrite()
			}
		}()
		<-full
		within(t, promptly, "Close", func() { w.h.Close() })
		if r := w.record(); r.BytesUp == 0 {
			t.Errorf("record = %+v", r)
		}
	}
}

// A peer that is slow to take the close_notify has all the time it wants.
func TestHalfCloseWaitsForASlowUpstream(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer b.Close()
	cert, pool := authority(t, time.Now().Add(time.Hour))
	u := mustUpstream(t, "https://127.0.0.1").WithRoots(pool)
	c := newTLSConn(a, u.tls)
	defer c.Close()
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
	go server.Handshake()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.CloseWrite() }()
	// Its deadlines are in the way of nothing.
	c.Conn.SetWriteDeadline(time.Unix(1, 0))
	go expectEOF(t, server)
	if err := <-done; err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
	// Nobody reads the other end now, and cutting does not wait for it.
	within(t, promptly, "Cut", func() { c.Cut(false) })
}

// EX-19: nothing is said in the clear to an https upstream.
func TestNothingInTheClear(t *testing.T) {
	t.Parallel()
	said := make(chan string, 1)
	up := newRaw(t, func(c net.Conn) {
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		rest, _ := io.ReadAll(c)
		said <- string(b[:n]) + string(rest)
	})
	w, _ := chained(t, mustUpstream(t, up.url("https")), []string{"github.com"}, nil)
	if got := w.client().status(head("github.com:443")); got != 502 {
		t.Errorf("status %d, want 502", got)
	}
	text := <-said
	noSecrets(t, text)
	if strings.Contains(text, "CONNECT") || strings.Contains(text, "github") || text[0] != 22 {
		t.Errorf("said %q", text)
	}
}
