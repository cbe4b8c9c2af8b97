// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestBothPrefixesComeFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		up, down := strings.Repeat("up", 50_000), strings.Repeat("down", 50_000)
		o.Prefix, o.DownPrefix = []byte(up), []byte(down)
		w := start(t, network, o)
		for _, c := range []halfCloser{w.client, w.origin} {
			io.WriteString(c, "later")
			c.CloseWrite()
		}
		for _, side := range []struct {
			c    halfCloser
			want string
		}{{w.client, down}, {w.origin, up}} {
			side.c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if got, err := io.ReadAll(side.c); err != nil || string(got) != side.want+"later" {
				t.Errorf("read %d bytes, %v; want %d", len(got), err, len(side.want)+5)
			}
		}
		if s := w.end(t); s.Up != int64(len(up)+5) || s.Down != int64(len(down)+5) || s.Err != nil {
			t.Errorf("stats = %+v", s)
		}
	})
}

// cutter notes how it is ended. Its CloseWrite would block for ever.
type cutter struct {
	net.Conn
	cut chan bool
}

func (c cutter) CloseWrite() error { select {} }

func (c cutter) Cut(reset bool) {
	c.cut <- reset
	c.Conn.Close()
}

func TestCutIsPreferredToAnOrderlyEnd(t *testing.T) {
	t.Parallel()
	for name, wantReset := range map[string]bool{"closed": false, "reset": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, in := pair(t, "tcp")
			out, _ := pair(t, "tcp")
			c := cutter{out, make(chan bool, 1)}
			tunnel := New(in, c, Options{})
			stats := make(chan Stats, 1)
			go func() { stats <- tunnel.Run() }()
			if wantReset {
				reset(client)
			} else {
				tunnel.Close()
			}
			select {
			case s := <-stats:
				if got := <-c.cut; got != wantReset || s.Err == nil {
					t.Errorf("cut with reset %v, stats %+v; want reset %v", got, s, wantReset)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the tunnel did not end within 20 s")
			}
		})
	}
}
