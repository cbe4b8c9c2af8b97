// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package proxycore

import (
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// prompt starts a proxy whose requests need not wait: no hook but the record's.
func prompt(t *testing.T, target string) (h *Handle, records chan Record) {
	t.Helper()
	records = make(chan Record, 10)
	h, err := BuiltIn{Config: Config{
		Filter:      allowing(t, target),
		DialTimeout: -1,
		Record:      func(r Record) error { records <- r; return nil },
	}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, records
}

// However a request comes, and whoever serves it, the tunnel and its record are the same.
func TestRequestsThatNeedNotWait(t *testing.T) {
	t.Parallel()
	l := listen(t)
	target := l.Addr().String()
	h, records := prompt(t, target)
	for name, parts := range map[string][]string{
		"at once":           {head(target)},
		"with bytes behind": {head(target) + "ahead"},
		"in two parts":      {head(target)[:9], head(target)[9:]},
		"two parts, bytes":  {head(target)[:30], head(target)[30:] + "ahead"},
	} {
		c := dialProxy(t, h.Addr())
		for _, part := range parts {
			c.send(part)
			if len(parts) > 1 {
				<-time.After(20 * time.Millisecond) // so that they come as two, most of the time
			}
		}
		o, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		expect(t, c.r, established)
		c.send("up").CloseWrite()
		up, _ := io.ReadAll(o)
		io.WriteString(o, "down")
		o.Close()
		expect(t, c.r, "down")
		expectEOF(t, c.r)
		_, want, _ := strings.Cut(strings.Join(parts, "")+"up", "\r\n\r\n")
		if string(up) != want {
			t.Errorf("%s: the origin got %q, want %q", name, up, want)
		}
		r := <-records
		if r.Decision != DecisionAllow || r.Reason != "" || r.Method != "CONNECT" || r.Address != target || r.Rule != target ||
			r.Host != "127.0.0.1" || r.Client != c.LocalAddr().String() || r.BytesUp != int64(len(want)) || r.BytesDown != 4 {
			t.Errorf("%s: the record is %+v", name, r)
		}
	}
}

// What a loop has begun ends as it does in a goroutine.
func TestDialThatHasToWait(t *testing.T) {
	t.Parallel()
	target := busy(t)
	for name, end := range map[string]func(*Handle, *client){
		"the client is reset":   func(_ *Handle, c *client) { c.SetLinger(0); c.Close() },
		"the client has gone":   func(_ *Handle, c *client) { c.CloseWrite() },
		"the proxy is closed":   func(h *Handle, _ *client) { h.Close() },
		"the time for it is up": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := make(chan Record, 1)
			cfg := Config{Filter: allowing(t, target), DialTimeout: -1, Record: func(r Record) error { records <- r; return nil }}
			if end == nil {
				cfg.DialTimeout = 50 * time.Millisecond
			}
			h, err := BuiltIn{Config: cfg}.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			c := dialProxy(t, h.Addr()).send(head(target))
			if end != nil {
				<-time.After(30 * time.Millisecond) // most of the time it is being dialled then
				end(h, c)
			}
			within(t, promptly, "the record", func() {
				if r := <-records; r.Host != "127.0.0.1" || r.Reason == "" {
					t.Errorf("the record is %+v", r)
				}
			})
			if end == nil {
				if res, _ := c.reply(); res.StatusCode != 504 {
					t.Errorf("status %d, want 504", res.StatusCode)
				}
			}
		})
	}
}

// busy gives an address that neither takes nor refuses connections.
func busy(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for range 10 {
		c, done, err := relay.Begin(addr.AddrPort(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if !done {
			return addr.String()
		}
	}
	t.Fatal("there is always room for one more connection")
	return ""
}

// A tunnel that was made at once is cut as any other, and a policy that has changed
// refuses the next.
func TestPolicyOfRequestsThatNeedNotWait(t *testing.T) {
	t.Parallel()
	l := listen(t)
	target := l.Addr().String()
	h, records := prompt(t, target)
	c := dialProxy(t, h.Addr())
	if got := c.status(head(target)); got != 200 {
		t.Fatalf("status %d", got)
	}
	if err := h.SetFilter(allowing(t, "github.com")); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, c.r)
	if r := <-records; r.Reason != PolicyClosed {
		t.Errorf("the record is %+v", r)
	}
	if got := dialProxy(t, h.Addr()).status(head(target)); got != 403 {
		t.Errorf("status %d, want 403", got)
	}
	if r := <-records; r.Decision != DecisionDeny {
		t.Errorf("the record is %+v", r)
	}
	// The proxy itself stays out of reach, whatever the policy.
	if err := h.SetFilter(allowing(t, h.Addr())); err != nil {
		t.Fatal(err)
	}
	if got := dialProxy(t, h.Addr()).status(head(h.Addr())); got != 403 {
		t.Errorf("the proxy by way of itself: status %d, want 403", got)
	}
	if r := <-records; r.Reason != AddressNotAllowed {
		t.Errorf("the record is %+v", r)
	}
}

// Shutdown closes who has sent no request yet, and lets a tunnel end.
func TestShutdownOfRequestsThatNeedNotWait(t *testing.T) {
	t.Parallel()
	l := listen(t)
	h, _ := prompt(t, l.Addr().String())
	c := dialProxy(t, h.Addr())
	if got := c.status(head(l.Addr().String())); got != 200 {
		t.Fatalf("status %d", got)
	}
	silent := dialProxy(t, h.Addr())
	over := make(chan error, 1)
	go func() { over <- h.Shutdown(context.Background()) }()
	within(t, promptly, "closing the silent one", func() { silent.r.ReadByte() })
	c.SetLinger(0)
	c.Close()
	within(t, promptly, "Shutdown", func() {
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}
