// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// says answers with text and ends the connection.
func says(text string) func(net.Conn, string) {
	return func(c net.Conn, _ string) {
		io.WriteString(c, text)
		c.Close()
	}
}

// silent answers nothing until the peer has gone.
func silent(c net.Conn, _ string) { io.Copy(io.Discard, c) }

// dripping answers without end, slowly.
func dripping(c net.Conn, _ string) {
	io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
	}
}

// failure is one way in which an upstream can fail.
type failure struct {
	name     string
	upstream func(t *testing.T) *Upstream
	status   int
	kind     string // in Proxy-Status
	received int
}

func overHTTP(answer func(net.Conn, string)) func(t *testing.T) *Upstream {
	return func(t *testing.T) *Upstream { return mustUpstream(t, newUpstream(t, nil, answer).url("http")) }
}

func overSOCKS(serve func(net.Conn)) func(t *testing.T) *Upstream {
	return func(t *testing.T) *Upstream { return mustUpstream(t, newRaw(t, serve).url("socks5h")) }
}

// newRaw gives each connection to serve.
func newRaw(t *testing.T, serve func(net.Conn)) *fakeUpstream {
	f := &fakeUpstream{t: t, l: listen(t)}
	f.wg.Go(func() {
		for {
			c, err := f.l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			f.wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		f.l.Close()
		f.wg.Wait()
	})
	return f
}

func dead(scheme string) func(t *testing.T) *Upstream {
	return func(t *testing.T) *Upstream {
		return mustUpstream(t, scheme+"://"+secretUser+":"+secretPassword+"@"+deadAddr(t))
	}
}

const leak = "X-Secret: sEcReT\r\n\r\nsEcReT sEcReT"

var failures = []failure{
	{"407", overHTTP(says("HTTP/1.1 407 sEcReT\r\nProxy-Authenticate: Basic realm=sEcReT\r\n" + leak)), 502, "proxy_configuration_error", 407},
	{"403", overHTTP(says("HTTP/1.1 403 sEcReT\r\n" + leak)), 502, "destination_unavailable", 403},
	{"500", overHTTP(says("HTTP/1.1 500 sEcReT\r\n" + leak)), 502, "destination_unavailable", 500},
	{"301", overHTTP(says("HTTP/1.1 301 sEcReT\r\nLocation: http://sEcReT\r\n" + leak)), 502, "http_protocol_error", 301},
	{"101", overHTTP(says("HTTP/1.1 101 sEcReT\r\n" + leak)), 502, "http_protocol_error", 0},
	{"cut", overHTTP(says("HTTP/1.1 200 OK\r\nX: sEcReT")), 502, "http_response_incomplete", 0},
	{"nothing", overHTTP(says("")), 502, "connection_terminated", 0},
	{"garbage", overHTTP(says("sEcReT\r\n")), 502, "http_protocol_error", 0},
	{"huge", overHTTP(says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("sEcReT", 9000))), 502, "http_response_header_section_size", 0},
	{"interim without end", overHTTP(says(strings.Repeat("HTTP/1.1 100 sEcReT\r\n\r\n", 9000))), 502, "http_response_header_section_size", 0},
	{"silent", overHTTP(silent), 504, "http_response_timeout", 0},
	{"dripping", overHTTP(dripping), 504, "http_response_timeout", 0},
	{"dead", dead("http"), 502, "connection_refused", 0},
	{"dead https", dead("https"), 502, "connection_refused", 0},
	{"dead socks", dead("socks5h"), 502, "connection_refused", 0},
	{"no socket", func(t *testing.T) *Upstream { return mustUpstream(t, "unix://"+filepath.Join(t.TempDir(), "s")) }, 502, "destination_unavailable", 0},
	{"no name", func(t *testing.T) *Upstream { return mustUpstream(t, "http://u:sEcReT@a.invalid.:1") }, 502, "dns_error", 0},

	{"socks: refused", overSOCKS(func(c net.Conn) { socksServe(c, true, 2) }), 502, "destination_unavailable", 0},
	{"socks: other credentials", overSOCKS(func(c net.Conn) {
		io.ReadFull(c, make([]byte, 4))
		c.Write([]byte{5, 2})
		io.ReadFull(c, make([]byte, 3+len(secretUser)+len(secretPassword)))
		c.Write([]byte{1, 1})
	}), 502, "proxy_configuration_error", 0},
	{"socks: a method that was not offered", overSOCKS(func(c net.Conn) {
		io.ReadFull(c, make([]byte, 3))
		c.Write([]byte{5, 1})
		io.ReadFull(c, make([]byte, 7))
		c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	}), 502, "proxy_configuration_error", 0},
	{"socks: no method", overSOCKS(func(c net.Conn) { io.ReadFull(c, make([]byte, 4)); c.Write([]byte{5, 0xff}) }), 502, "proxy_configuration_error", 0},
	{"socks: an HTTP proxy", overSOCKS(func(c net.Conn) { io.ReadFull(c, make([]byte, 4)); io.WriteString(c, "HTTP/1.1 400 sEcReT") }), 502, "proxy_configuration_error", 0},
	{"socks: cut", overSOCKS(func(c net.Conn) { io.ReadFull(c, make([]byte, 4)); c.Write([]byte{5}) }), 502, "connection_terminated", 0},
	{"socks: silent", overSOCKS(func(c net.Conn) { silent(c, "") }), 504, "connection_timeout", 0},
	{"socks: cut in the reply", overSOCKS(func(c net.Conn) {
		io.ReadFull(c, make([]byte, 4))
		c.Write([]byte{5, 0})
		io.ReadFull(c, make([]byte, 10))
		c.Write([]byte{5, 0, 0, 1, 0})
	}), 502, "connection_terminated", 0},

	{"tls: plain", overTLS(func(c net.Conn) { silentOrClear(c, "HTTP/1.1 200 OK\r\n\r\n") }), 502, "tls_protocol_error", 0},
	{"tls: cut", overTLS(func(c net.Conn) { c.Read(make([]byte, 1)) }), 502, "connection_terminated", 0},
	{"tls: silent", overTLS(func(c net.Conn) { silent(c, "") }), 504, "connection_timeout", 0},
	{"tls: unknown authority", badTLS(func(*tls.Config) {}, false, time.Hour), 502, "tls_certificate_error", 0},
	{"tls: expired", badTLS(func(*tls.Config) {}, true, -time.Hour), 502, "tls_certificate_error", 0},
	{"tls: too old", badTLS(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11; c.MinVersion = tls.VersionTLS10 }, true, time.Hour), 502, "tls_alert_received", 0},
	{"tls: another protocol", badTLS(func(c *tls.Config) { c.NextProtos = []string{"imap"} }, true, time.Hour), 502, "tls_alert_received", 0},
}

// overTLS is an https upstream that is not one.
func overTLS(serve func(net.Conn)) func(t *testing.T) *Upstream {
	return func(t *testing.T) *Upstream { return mustUpstream(t, newRaw(t, serve).url("https")) }
}

// silentOrClear answers in the clear. Whoever spoke in the clear gets a tunnel.
func silentOrClear(c net.Conn, reply string) {
	b := make([]byte, 5)
	io.ReadFull(c, b)
	io.WriteString(c, reply)
	silent(c, "")
}

// badTLS is an https upstream with something wrong about it.
func badTLS(change func(*tls.Config), trusted bool, valid time.Duration) func(t *testing.T) *Upstream {
	return func(t *testing.T) *Upstream {
		cert, pool := authority(t, time.Now().Add(valid))
		cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
		change(cfg)
		f := newUpstream(t, tls.NewListener(listen(t), cfg), func(c net.Conn, head string) {
			if head != "" {
				t.Errorf("it was sent %q", head)
			}
		})
		u := mustUpstream(t, f.url("https"))
		if trusted {
			u = u.WithRoots(pool)
		}
		return u
	}
}

// Whatever fails, the client gets one reply of ours, there is one record, and
// nobody is dialled directly: not through the hook, and not without it.
func TestFailingUpstreamIsNeverPassedBy(t *testing.T) {
	t.Parallel()
	for _, tt := range failures {
		for _, hook := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, hook %v", tt.name, hook), func(t *testing.T) {
				t.Parallel()
				u := tt.upstream(t)
				if u.host == "127.0.0.1" && u.credentials == nil {
					t.Fatal("no secret is planted")
				}
				w, logged := chained(t, u, []string{"github.com", "127.0.0.1:*"}, func(_ *world, b *BuiltIn) {
					b.DialTimeout = 5 * time.Second
					if tt.status == 504 {
						b.DialTimeout = 300 * time.Millisecond
					}
					if !hook {
						b.Dial = nil
					}
				})
				for _, target := range []string{"github.com:443", w.origin.Addr().String()} {
					began := time.Now()
					res, body := w.client().send(head(target)).reply()
					if took := time.Since(began); tt.status == 504 && took > promptly {
						t.Errorf("took %v", took)
					}
					status := res.Header.Get("Proxy-Status")
					contains(t, "Proxy-Status", status, "sallyport; error="+tt.kind+";")
					if strings.Contains(status, "received-status") != (tt.received != 0) {
						t.Errorf("Proxy-Status = %q", status)
					}
					r, reason := w.record(), DialError
					if tt.status == 504 {
						reason = DialTimeout
					}
					if res.StatusCode != tt.status || r.Reason != reason || r.Decision != DecisionAllow || r.Upstream != u.String() || r.UpstreamStatus != tt.received ||
						r.BytesUp+r.BytesDown != 0 || r.Address != "" {
						t.Errorf("%s: status %d, record %+v", target, res.StatusCode, r)
					}
					noSecrets(t, body, fmt.Sprint(res.Header), fmt.Sprintf("%+v", r), logged.String())
				}
				w.noRecord()
				w.noDirect()
				contains(t, "log", logged.String(), "upstream="+u.String())
			})
		}
	}
}

// The upstream hears at once that its client has gone.
func TestClientGoneCancelsTheUpstream(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https", "socks5h"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			came, gone := make(chan struct{}), make(chan struct{})
			up := newRaw(t, func(c net.Conn) {
				c.Read(make([]byte, 1))
				close(came)
				silent(c, "")
				close(gone)
			})
			w, _ := chained(t, mustUpstream(t, up.url(scheme)), []string{"github.com"}, nil)
			c := w.client().send(head("github.com:443"))
			<-came
			c.SetLinger(0)
			c.Close()
			within(t, promptly, "cancelling", func() { <-gone })
			if r := w.record(); r.Decision != DecisionAllow || r.Reason != DialError || r.Upstream == "" {
				t.Errorf("record = %+v", r)
			}
			w.noDirect()
		})
	}
}

func TestCloseCancelsTheUpstream(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https", "socks5h"} {
		came := make(chan struct{})
		up := newRaw(t, func(c net.Conn) {
			c.Read(make([]byte, 1))
			close(came)
			silent(c, "")
		})
		w, _ := chained(t, mustUpstream(t, up.url(scheme)), []string{"github.com"}, nil)
		w.client().send(head("github.com:443"))
		<-came
		within(t, promptly, "Close", func() { w.h.Close() })
		if r := w.record(); r.Reason != DialError {
			t.Errorf("record = %+v", r)
		}
	}
}

// A client that has nothing to say and half-closes has half a second, and is told
// 502: it was not the upstream that was too slow.
func TestSilentClientIsNotATimeOut(t *testing.T) {
	t.Parallel()
	w, _ := chained(t, overHTTP(silent)(t), []string{"github.com"}, nil)
	c := w.client().send(head("github.com:443"))
	c.CloseWrite()
	if res, _ := c.reply(); res.StatusCode != 502 {
		t.Errorf("status %d, want 502", res.StatusCode)
	}
}

func TestRefusalForOtherErrors(t *testing.T) {
	t.Parallel()
	if r := upstreamRefusal(io.ErrShortWrite); r.status != 502 || r.error != "destination_unavailable" {
		t.Errorf("refusal = %+v", r)
	}
	if r := upstreamRefusal(connectError(&net.OpError{Op: "dial", Err: syscall.EMFILE})); r != limitRefusal {
		t.Errorf("refusal without descriptors = %+v", r)
	}
}
