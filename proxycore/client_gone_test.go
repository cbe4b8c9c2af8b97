// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestClientGoneDuringLookupOrDial(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"lookup", "dial"} {
		cancelled := make(chan struct{})
		entered := make(chan struct{}, 1)
		w := newWorld(t, []string{"github.com"}, func(w *world, b *BuiltIn) {
			if phase == "lookup" {
				w.resolver.block, w.resolver.entered = make(chan struct{}), entered
				close(cancelled)
				return
			}
			b.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				entered <- struct{}{}
				<-ctx.Done()
				close(cancelled)
				return nil, ctx.Err()
			}
		})
		c := w.client().send(head("github.com:443") + "sent ahead")
		<-entered
		c.SetLinger(0)
		c.Close()
		within(t, promptly, "giving up the "+phase, func() { <-cancelled; <-w.records })
	}
}

// A client that was killed has only ended its stream, but it has sent nothing
// for the tunnel. One that has is waiting for its answer.
func TestClientThatEndedItsStreamDuringDial(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"", "all I have"} {
		cancelled := make(chan struct{})
		release := make(chan struct{})
		entered := make(chan struct{}, 1)
		w := newWorld(t, []string{"github.com"}, func(w *world, b *BuiltIn) {
			b.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				entered <- struct{}{}
				select {
				case <-ctx.Done():
					close(cancelled)
					return nil, ctx.Err()
				case <-release:
					return w.dial(ctx, network, address)
				}
			}
		})
		c := w.client().send(head("github.com:443") + behind)
		<-entered
		c.CloseWrite()
		if behind == "" {
			within(t, promptly, "giving up", func() { <-cancelled })
			if res, _ := c.reply(); res.StatusCode != 502 {
				t.Errorf("status %d, want 502", res.StatusCode)
			}
			continue
		}
		select {
		case <-cancelled:
			t.Error("gave up a client that waits for its answer")
		case <-time.After(watchDelay + silentGrace + 200*time.Millisecond):
		}
		close(release)
		if res, _ := c.reply(); res.StatusCode != 200 {
			t.Errorf("status %d, want 200", res.StatusCode)
		}
	}
}

func TestResetsReachTheOtherSide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	c, o := w.tunnel("github.com:443")
	o.SetLinger(0)
	o.Close()
	if n, err := c.r.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("origin reset: the client read %d, %v", n, err)
	}
	c, o = w.tunnel("github.com:443")
	c.SetLinger(0)
	c.Close()
	if n, err := o.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client reset: the origin read %d, %v", n, err)
	}
}

func TestTunnelLimits(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*world, *BuiltIn){
		"idle":  func(_ *world, b *BuiltIn) { b.IdleTimeout = 50 * time.Millisecond },
		"total": func(_ *world, b *BuiltIn) { b.TunnelTimeout = 50 * time.Millisecond },
	} {
		w := newWorld(t, []string{"github.com"}, change)
		c, o := w.tunnel("github.com:443")
		within(t, 5*time.Second, name+" limit", func() { expectEOF(t, c.r); expectEOF(t, o) })
	}
	// Off: the tunnel outlives the head's and the dial's time limits.
	w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) {
		b.HeadTimeout, b.DialTimeout = 100*time.Millisecond, 100*time.Millisecond
	})
	c, o := w.tunnel("github.com:443")
	<-time.After(300 * time.Millisecond)
	c.send("alive")
	expect(t, o, "alive")
	io.WriteString(o, "and well")
	expect(t, c.r, "and well")
}
