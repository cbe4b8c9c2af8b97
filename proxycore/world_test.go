// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// promptly is a second with room for a machine that is busy with other things;
// whatever waits for a time limit instead takes ten.
const promptly = 4 * time.Second

// public is an address that no registry reserves.
var public = netip.MustParseAddr("140.82.112.3")

// fakeResolver answers from a table and remembers what it was asked.
type fakeResolver struct {
	mu      sync.Mutex
	answers map[string][]netip.Addr // by absolute name; absent: NXDOMAIN
	asked   []string
	block   chan struct{} // if non-nil, lookups wait for it or for ctx
	entered chan struct{} // if non-nil, receives when a lookup begins
}

func (r *fakeResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	r.asked = append(r.asked, host)
	answer, ok := r.answers[host]
	r.mu.Unlock()
	if r.entered != nil {
		r.entered <- struct{}{}
	}
	if r.block != nil {
		select {
		case <-r.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return answer, nil
}

func (r *fakeResolver) questions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// world is a proxy whose every origin is one local echo server, a resolver that
// knows a few names, and what was recorded.
type world struct {
	t        testing.TB
	h        *Handle
	resolver *fakeResolver
	origin   net.Listener
	records  chan Record

	mu     sync.Mutex
	dialed []string
}

// newWorld starts a proxy for allow. change may adjust its configuration.
func newWorld(t testing.TB, allow []string, change func(w *world, b *BuiltIn)) *world {
	t.Helper()
	w := &world{t: t, records: make(chan Record, 1000)}
	w.resolver = &fakeResolver{answers: map[string][]netip.Addr{
		"github.com.":  {public},
		"private.com.": {netip.MustParseAddr("10.0.0.1")},
		"mixed.com.":   {public, netip.MustParseAddr("127.0.0.1")},
		"empty.com.":   {},
	}}
	w.origin = listen(t)
	b := BuiltIn{Config: Config{
		Filter:   allowing(t, allow...),
		Resolver: w.resolver,
		Dial:     w.dial,
		Record:   func(r Record) error { w.records <- r; return nil },
	}}
	if change != nil {
		change(w, &b)
	}
	h, err := b.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	w.h = h
	return w
}

// dial leads every address to the origin and remembers which it was.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dialed = append(w.dialed, address)
	w.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, network, w.origin.Addr().String())
}

func (w *world) dials() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dialed)
}

// record gives the next record.
func (w *world) record() Record {
	w.t.Helper()
	select {
	case r := <-w.records:
		return r
	case <-time.After(10 * time.Second):
		w.t.Fatal("no record within 10 s")
		return Record{}
	}
}

// noRecord says that no further record has been taken.
func (w *world) noRecord() {
	w.t.Helper()
	select {
	case r := <-w.records:
		w.t.Errorf("an extra record: %+v", r)
	default:
	}
}

func allowing(t testing.TB, allow ...string) *Filter {
	t.Helper()
	f, err := NewFilter(Policy{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// listen gives a local listener that is closed with the test.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// client is a raw connection to a proxy.
type client struct {
	*net.TCPConn
	r *bufio.Reader
	t testing.TB
}

func (w *world) client() *client { w.t.Helper(); return dialProxy(w.t, w.h.Addr()) }

func dialProxy(t testing.TB, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c), t: t}
}

func head(target string) string {
	return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n"
}

func (c *client) send(s string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
	return c
}

// reply reads one reply's head, and its body when it is a refusal.
func (c *client) reply() (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		c.t.Fatalf("read the reply: %v", err)
	}
	if res.StatusCode == 200 {
		return res, ""
	}
	body := make([]byte, max(0, res.ContentLength))
	if _, err := io.ReadFull(c.r, body); err != nil {
		c.t.Fatalf("read the body: %v", err)
	}
	return res, string(body)
}

// status sends a request and gives the reply's status.
func (c *client) status(request string) int {
	c.t.Helper()
	res, _ := c.send(request).reply()
	return res.StatusCode
}

// tunnel opens one to target, with the origin's end of it.
func (w *world) tunnel(target string) (*client, *net.TCPConn) {
	w.t.Helper()
	c := w.client()
	if got := c.status(head(target)); got != 200 {
		w.t.Fatalf("CONNECT %s: status %d, want 200", target, got)
	}
	return c, w.accept()
}

// accept gives the origin's next connection.
func (w *world) accept() *net.TCPConn {
	w.t.Helper()
	o, err := w.origin.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { o.Close() })
	o.SetDeadline(time.Now().Add(20 * time.Second))
	return o.(*net.TCPConn)
}

// expect reads exactly want.
func expect(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil || string(got) != want {
		t.Errorf("read %d bytes, %.80q, %v; want %d, %.80q", n, got[:n], err, len(want), want)
	}
}

// expectEOF reads the end of the stream.
func expectEOF(t testing.TB, r io.Reader) {
	t.Helper()
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d, %v; want the end of the stream", n, err)
	}
}

// within fails the test if f takes longer than limit.
func within(t testing.TB, limit time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s took longer than %v", what, limit)
	}
}

// faultyListener fails as told before it accepts.
type faultyListener struct {
	net.Listener
	errs chan error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

var errDisk = errors.New("no space left on device")

func contains(t testing.TB, what, s string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("%s = %q, want it to contain %q", what, s, p)
		}
	}
}
