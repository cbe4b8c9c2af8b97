// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
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
