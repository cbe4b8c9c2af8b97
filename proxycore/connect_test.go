// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, request string
		status        int
		reason        Reason
		error         string
		host          string // of the record
	}{
		{"denied name", head("evil.com:443"), 403, HostNotAllowed, "http_request_denied", "evil.com"},
		{"denied port", head("github.com:22"), 403, PortNotAllowed, "http_request_denied", "github.com"},
		{"literal", head("10.0.0.1:443"), 403, AddressNotAllowed, "destination_ip_prohibited", "10.0.0.1"},
		{"legacy literal", head("0x7f000001:443"), 403, AddressNotAllowed, "destination_ip_prohibited", ""},
		{"Host does not help", "CONNECT evil.com:443 HTTP/1.1\r\nHost: github.com\r\n\r\n", 403, HostNotAllowed, "http_request_denied", "evil.com"},
		{"no port", head("github.com"), 400, MalformedRequest, "http_request_error", ""},
		{"port +443", head("github.com:+443"), 400, MalformedRequest, "http_request_error", ""},
		{"URL", "CONNECT https://github.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, MalformedRequest, "http_request_error", ""},
		{"obs-fold", "CONNECT github.com:443 HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", 400, MalformedRequest, "http_request_error", ""},
		{"TLS hello", "\x16\x03\x01\x02\x00", 400, MalformedRequest, "http_request_error", ""},
		{"GET", "GET http://github.com/ HTTP/1.1\r\nHost: github.com\r\n\r\n", 405, MethodNotAllowed, "http_request_error", ""},
		{"POST", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405, MethodNotAllowed, "http_request_error", ""},
		{"lower case", "connect github.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405, MethodNotAllowed, "http_request_error", ""},
		{"too large", "CONNECT github.com:443 HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 9000) + "\r\n\r\n", 431, MalformedRequest, "http_request_error", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, []string{"github.com"}, nil)
			c := w.client()
			res, body := c.send(tt.request).reply()
			if res.StatusCode != tt.status || !res.Close {
				t.Errorf("status %d, close %v; want %d, true", res.StatusCode, res.Close, tt.status)
			}
			if got, want := res.Header.Get("Proxy-Status"), fmt.Sprintf("sallyport; error=%s; details=%q", tt.error, tt.reason); got != want {
				t.Errorf("Proxy-Status = %q, want %q", got, want)
			}
			if got := res.Header.Get("Allow"); (got == "CONNECT") != (tt.status == 405) {
				t.Errorf("Allow = %q", got)
			}
			contains(t, "body", body, string(tt.reason), tt.host)
			expectEOF(t, c.r)
			r := w.record()
			if r.Decision != DecisionDeny || r.Reason != tt.reason || r.Host != tt.host || r.Address != "" || r.Duration <= 0 || r.Client != c.LocalAddr().String() {
				t.Errorf("record = %+v", r)
			}
			if q, d := w.resolver.questions(), w.dials(); len(q)+len(d) != 0 {
				t.Errorf("a refusal asked for %q and dialled %q", q, d)
			}
			w.h.Close()
			w.noRecord()
		})
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"GitHub.com"}, nil)
	c := w.client()
	c.send("CONNECT GITHUB.com.:443 HTTP/1.1\r\nHost: evil.com\r\n\r\n")
	want := "HTTP/1.1 200 Connection established\r\n\r\n"
	expect(t, c.r, want)
	o := w.accept()
	io.WriteString(o, "banner") // server first
	expect(t, c.r, "banner")
	c.send("hello")
	expect(t, o, "hello")
	c.CloseWrite()
	expectEOF(t, o)
	io.WriteString(o, " and the rest")
	o.Close()
	expect(t, c.r, " and the rest")
	expectEOF(t, c.r)
	r := w.record()
	if r.Decision != DecisionAllow || r.Reason != "" || r.Rule == "" || r.Host != "github.com" || r.Port != 443 ||
		r.Address != "140.82.112.3:443" || r.BytesUp != 5 || r.BytesDown != 19 || r.Method != "CONNECT" {
		t.Errorf("record = %+v", r)
	}
	if got := w.resolver.questions(); len(got) != 1 || got[0] != "github.com." {
		t.Errorf("asked %q, want github.com. once", got)
	}
	if got := w.dials(); len(got) != 1 || got[0] != "140.82.112.3:443" {
		t.Errorf("dialled %q", got)
	}
}

func TestBytesBehindTheHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	behind := strings.Repeat("0123456789", 5000)
	c := w.client()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, head("github.com:443")+behind)
		sent <- err
	}()
	o := w.accept()
	expect(t, o, behind)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	c.send("tail")
	expect(t, o, "tail")
}

func TestBytesSentWhileDiallingSlowly(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := newWorld(t, []string{"github.com"}, func(w *world, b *BuiltIn) {
		b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			<-release
			return w.dial(ctx, network, address)
		}
	})
	c := w.client().send(head("github.com:443") + "one ")
	<-time.After(2 * watchDelay) // past the moment the client is watched from
	c.send("two ")
	<-time.After(watchDelay)
	c.CloseWrite() // all said: not a reason to give up
	<-time.After(watchDelay)
	close(release)
	if res, _ := c.reply(); res.StatusCode != 200 {
		t.Fatalf("status %d, want 200", res.StatusCode)
	}
	o := w.accept()
	expect(t, o, "one two ")
	expectEOF(t, o)
	io.WriteString(o, "answer")
	o.Close()
	expect(t, c.r, "answer")
}

func TestHeadByteByByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	c := w.client()
	c.SetNoDelay(true)
	for _, b := range []byte(head("github.com:443")) {
		c.send(string(b))
	}
	if res, _ := c.reply(); res.StatusCode != 200 {
		t.Errorf("status %d, want 200", res.StatusCode)
	}
}

func TestNoFirstByteLost(t *testing.T) {
	t.Parallel()
	n := 2000
	if testing.Short() {
		n = 200
	}
	w := newWorld(t, []string{"github.com"}, nil)
	go func() {
		for {
			o, err := w.origin.Accept()
			if err != nil {
				return
			}
			go func() { defer o.Close(); io.Copy(o, o) }()
		}
	}()
	for i := range n {
		c := dialProxy(t, w.h.Addr())
		if got := c.status(head("github.com:443")); got != 200 {
			t.Fatalf("round %d: status %d", i, got)
		}
		c.send("x")
		expect(t, c.r, "x")
		c.SetLinger(0) // thousands of ports in TIME-WAIT would be missed elsewhere
		c.Close()
		<-w.records
	}
}

func TestHeadDeadlineIsForTheWholeHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) { b.HeadTimeout = 400 * time.Millisecond })
	c := w.client()
	began := time.Now()
	stop := make(chan struct{})
	fed := make(chan struct{})
	go func() { // a byte every 50 ms, for ever
		defer close(fed)
		rest := "CONNECT github.com:443 HTTP/1.1\r\nX: " + strings.Repeat("x", 1000)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := range rest {
			select {
			case <-tick.C:
				io.WriteString(c, rest[i:i+1])
			case <-stop:
				return
			}
		}
	}()
	res, _ := c.reply()
	close(stop)
	<-fed
	if took := time.Since(began); res.StatusCode != 408 || took > 3*time.Second {
		t.Errorf("status %d after %v, want 408 after 400 ms", res.StatusCode, took)
	}
	if r := w.record(); r.Reason != MalformedRequest || len(w.dials()) != 0 {
		t.Errorf("record = %+v, dials = %q", r, w.dials())
	}
}

func TestTruncatedHead(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"CONNECT github.com:443 HTTP/1.1\r\nHost: github.com:443\r\n", "CON"} {
		w := newWorld(t, []string{"github.com"}, nil)
		c := w.client().send(in)
		c.CloseWrite()
		if res, _ := c.reply(); res.StatusCode != 400 {
			t.Errorf("%q: status %d, want 400", in, res.StatusCode)
		}
		if r := w.record(); r.Reason != MalformedRequest || len(w.dials()) != 0 {
			t.Errorf("%q: record = %+v, dials = %q", in, r, w.dials())
		}
	}
}

func TestSilentConnectionIsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	c := w.client()
	c.CloseWrite()
	expectEOF(t, c.r)
	w.h.Close()
	w.noRecord()
}

func TestRefusalSurvivesPipelinedBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for range 50 {
		c := w.client()
		// More than the proxy reads with the head: closing at once would reset.
		if _, err := io.WriteString(c, head("evil.com:443")+strings.Repeat("x", 100<<10)); err != nil {
			t.Fatalf("send: %v", err)
		}
		if res, body := c.reply(); res.StatusCode != 403 || !strings.Contains(body, "evil.com:443") {
			t.Fatalf("status %d, body %q", res.StatusCode, body)
		}
		expectEOF(t, c.r)
		// What was still under way when the reply came does not meet a reset.
		for range 3 {
			c.send("still sending")
		}
		c.Close()
	}
}

func TestHeadSizeLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{100, 3000, 20000} {
		w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) { b.MaxHeadBytes = limit })
		frame := len(head("github.com:443") + "X: \r\n")
		for size, want := range map[int]int{limit: 200, limit + 1: 431} {
			request := strings.TrimSuffix(head("github.com:443"), "\r\n") + "X: " + strings.Repeat("x", size-frame) + "\r\n\r\n"
			if got := w.client().status(request); got != want || len(request) != size {
				t.Errorf("limit %d: a head of %d bytes: status %d, want %d", limit, len(request), got, want)
			}
		}
	}
}
