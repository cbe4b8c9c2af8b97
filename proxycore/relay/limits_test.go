// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimitsOnRealSockets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		o.IdleTimeout = 50 * time.Millisecond
		w := start(t, network, o)
		if got, err := io.ReadAll(w.client); err != nil || len(got) != 0 {
			t.Errorf("the client read %q, %v; want only the end of the stream", got, err)
		}
		if s := w.end(t); s.Err != ErrIdle {
			t.Errorf("stats = %+v, want ErrIdle", s)
		}
	})
}

func TestIdleLimitCountsFromTheLastByte(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, in := net.Pipe()
		out, origin := net.Pipe()
		stats := make(chan Stats, 1)
		began := time.Now()
		go func() { stats <- Run(in, out, Options{IdleTimeout: time.Minute}) }()
		for range 5 {
			<-time.After(50 * time.Second)
			if _, err := origin.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			io.ReadFull(client, make([]byte, 1))
		}
		s := <-stats
		if got, want := time.Since(began), 5*50*time.Second+time.Minute; got != want || s.Err != ErrIdle {
			t.Errorf("ended after %v with %v, want %v with ErrIdle", got, s.Err, want)
		}
	})
}

func TestTotalLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, in := net.Pipe()
		out, _ := net.Pipe()
		began := time.Now()
		s := Run(in, out, Options{TotalTimeout: time.Hour, IdleTimeout: 2 * time.Hour})
		if got := time.Since(began); got != time.Hour || s.Err != ErrTotal {
			t.Errorf("ended after %v with %v, want 1 h with ErrTotal", got, s.Err)
		}
	})
}
