// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestSetFilterCutsWhatItRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com", "gitlab.com"}, func(w *world, b *BuiltIn) {
		w.resolver.answers["gitlab.com."] = addrs("140.82.112.4")
	})
	kept, keptOrigin := w.tunnel("github.com:443")
	cut, cutOrigin := w.tunnel("gitlab.com:443")
	l := listen(t)
	if _, err := w.h.Attach(l, Listening{Name: "own", Filter: allowing(t, "gitlab.com")}); err != nil {
		t.Fatal(err)
	}
	own := dialProxy(t, l.Addr().String())
	if got := own.status(head("gitlab.com:443")); got != 200 {
		t.Fatalf("status %d", got)
	}
	ownOrigin := w.accept()

	if err := w.h.SetFilter(allowing(t, "github.com")); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, cut.r)
	expectEOF(t, cutOrigin)
	if r := w.record(); r.Reason != PolicyClosed || r.Host != "gitlab.com" || r.Decision != DecisionAllow {
		t.Errorf("record = %+v", r)
	}
	for _, p := range []struct {
		c *client
		o net.Conn
	}{{kept, keptOrigin}, {own, ownOrigin}} {
		p.c.send("alive")
		expect(t, p.o, "alive")
	}
	if got := w.client().status(head("gitlab.com:443")); got != 403 {
		t.Errorf("a new request: status %d, want 403", got)
	}
	// A tunnel to an address that is no longer admitted is cut, too.
	if err := w.h.SetFilter(func() *Filter {
		f, err := NewFilter(Policy{Allow: []string{"github.com"}, Deny: []string{"140.82.112.0/24"}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}()); err != nil {
		t.Fatal(err)
	}
	expectEOF(t, kept.r)
}

func TestFilterChangedWhileDialling(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, []string{"github.com"}, func(w *world, b *BuiltIn) {
		b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			close(entered)
			<-release
			return w.dial(ctx, network, address)
		}
	})
	c := w.client().send(head("github.com:443"))
	<-entered
	w.h.SetFilter(nil)
	close(release)
	if res, _ := c.reply(); res.StatusCode != 403 {
		t.Errorf("status %d, want 403", res.StatusCode)
	}
	expectEOF(t, w.accept())
}

func TestRecordErrorClosesTheServer(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]func(Record) error{
		"error": func(Record) error { return errDisk },
		"panic": func(Record) error { panic(errDisk) },
	} {
		first := true
		w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
			b.Record = func(r Record) error {
				if !first {
					return nil
				}
				first = false
				return hook(r)
			}
		})
		c, o := w.tunnel("github.com:443")
		io.Copy(io.Discard, w.client().send(head("evil.com:443")))
		within(t, 5*time.Second, name+": the end of the handle", func() { <-w.h.Done() })
		if err := w.h.Err(); err == nil || !strings.Contains(err.Error(), errDisk.Error()) {
			t.Errorf("%s: Err = %v, want the record's error", name, err)
		}
		expectEOF(t, c.r)
		expectEOF(t, o)
		if _, err := net.Dial("tcp", w.h.Addr()); err == nil {
			t.Errorf("%s: the port is still served", name)
		}
		if err := w.h.Close(); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
	}
}

// replyHook is a connection that calls f before the proxy's first reply.
type replyHook struct {
	net.Conn
	f func()
}

func (c *replyHook) Write(b []byte) (int, error) {
	c.f()
	return c.Conn.Write(b)
}

type replyHooks struct {
	net.Listener
	f func()
}

func (l *replyHooks) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &replyHook{c, l.f}, nil
}

// A tunnel that the policy cuts before the client has its 200 is recorded as what
// it is.
func TestTunnelCutBeforeTheReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	l := listen(t)
	if _, err := w.h.Attach(&replyHooks{l, func() { w.h.SetFilter(nil) }}, Listening{}); err != nil {
		t.Fatal(err)
	}
	c := dialProxy(t, l.Addr().String()).send(head("github.com:443"))
	expectEOF(t, c)
	if r := w.record(); r.Decision != DecisionAllow || r.Reason != PolicyClosed {
		t.Errorf("record = %+v, want allow, policy_closed", r)
	}
}

// The records of the tunnels that Close cuts can be lost, too.
func TestCloseReportsTheRecordsItLost(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(h *Handle) error{
		"Close":    (*Handle).Close,
		"Shutdown": func(h *Handle) error { return h.Shutdown(gone()) },
	} {
		w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
			b.Record = func(Record) error { return errDisk }
		})
		w.tunnel("github.com:443")
		w.tunnel("github.com:443")
		if err := end(w.h); !errors.Is(err, errDisk) {
			t.Errorf("%s = %v, want the record's error", name, err)
		}
		if err := w.h.Err(); err != nil {
			t.Errorf("%s: Err = %v, want nil: the proxy did not end by itself", name, err)
		}
	}
}

// gone is a context that is done.
func gone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
