// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// The client takes nothing, so the relay is at work on both connections when the
// tunnel is closed. Neither peer may take that for a reset.
func TestCloseUnderBackPressure(t *testing.T) {
	t.Parallel()
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, in := pair(t, "tcp")
			out, origin := pair(t, "tcp")
			tunnel := New(in, out, Options{form: form})
			stats := make(chan Stats, 1)
			go func() { stats <- tunnel.Run() }()
			for chunk, err := make([]byte, 256<<10), error(nil); err == nil; {
				origin.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
				_, err = origin.Write(chunk)
			}
			tunnel.Close()
			tunnel.Close()
			origin.SetReadDeadline(time.Now().Add(20 * time.Second))
			if n, err := origin.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the origin read %d, %v; want the end of the stream", n, err)
			}
			client.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, client); err != nil {
				t.Errorf("the client: %v; want the end of the stream", err)
			}
			if s := <-stats; !errors.Is(s.Err, net.ErrClosed) {
				t.Errorf("stats = %+v, want net.ErrClosed", s)
			}
		})
	}
}

func TestCloseInsteadOfRun(t *testing.T) {
	t.Parallel()
	client, in := pair(t, "tcp")
	out, origin := pair(t, "tcp")
	New(in, out, Options{}).Close()
	for _, c := range []net.Conn{client, origin} {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %d, %v; want the end of the stream", n, err)
		}
	}
}
