// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"io"
	"os"
	"testing"
)

// descriptors counts the descriptors of the process.
func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// Not parallel: it counts the descriptors of the process.
func TestIdleTunnelHoldsNothing(t *testing.T) {
	const tunnels = 50
	before := descriptors(t)
	ws := make([]*world, tunnels)
	for i := range ws {
		ws[i] = start(t, "tcp", Options{})
		io.WriteString(ws[i].client, "x")
		io.ReadFull(ws[i].origin, make([]byte, 1))
		io.WriteString(ws[i].origin, "y")
		io.ReadFull(ws[i].client, make([]byte, 1))
	}
	pipes.mu.Lock()
	live, idle := pipes.live, len(pipes.idle)
	pipes.mu.Unlock()
	if live > maxIdlePipes {
		t.Errorf("%d pipes (%d idle) are held for %d idle tunnels, want at most the pool's %d", live, idle, tunnels, maxIdlePipes)
	}
	// The ends of the test are in this process too: two more a tunnel.
	if got, most := descriptors(t)-before, 4*tunnels+2*maxIdlePipes; got > most {
		t.Errorf("%d idle tunnels hold %d descriptors, want at most %d", tunnels, got, most)
	}
	for _, w := range ws {
		w.client.Close()
		w.origin.Close()
		w.end(t)
	}
	pipes.mu.Lock()
	live = pipes.live
	pipes.mu.Unlock()
	if live != 0 {
		t.Errorf("%d pipes left after the last tunnel", live)
	}
	if got := descriptors(t); got > before {
		t.Errorf("%d descriptors after, %d before", got, before)
	}
}

// Not parallel: it takes all pipes.
func TestNoPipeLeftMeansBuffer(t *testing.T) {
	var taken []*pipe
	for p := getPipe(); p != nil; p = getPipe() {
		taken = append(taken, p)
	}
	if len(taken) != maxPipes {
		t.Errorf("took %d pipes, want %d", len(taken), maxPipes)
	}
	w := start(t, "tcp", Options{})
	go func() { pump(w.client, 1<<20, 1) }()
	if n, err := io.Copy(io.Discard, w.origin); err != nil || n != 1<<20 {
		t.Errorf("the origin got %d bytes, %v", n, err)
	}
	w.origin.Close()
	w.end(t)
	for _, p := range taken {
		putPipe(p, true)
	}
	closeIdlePipes()
}
