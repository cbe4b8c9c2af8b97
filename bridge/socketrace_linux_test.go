// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// leaveStale makes a socket that nobody listens on. Nobody ever did: a child that another
// test has just forked would hold a listener, and keep it alive, until it executes its
// program, however soon it was closed here.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
}

func TestSocketStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(tempDir(t), "p.sock")
	leaveStale(t, path)
	h := startSocket(t, Socket{Path: path}, w.Handle)
	if got, err := tunnel(path, w.origin); err != nil || got != "hello\n" {
		t.Errorf("tunnel says %q, %v, want hello", got, err)
	}
	if err := h.Close(); err != nil || exists(path) {
		t.Errorf("Close: %v; socket there: %t", err, exists(path))
	}
}

// TestSocketRace: of many starters at a stale socket exactly one wins, and its socket works.
func TestSocketRace(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(tempDir(t), "p.sock")
		leaveStale(t, path)
		var won atomic.Int32
		var racing sync.WaitGroup
		w := newWorld(t)
		for range 8 {
			racing.Go(func() {
				h, err := Socket{Path: path, BestEffort: func(error) {}}.Start(t.Context(), w.Handle)
				if err != nil {
					t.Errorf("Start with BestEffort: %v", err)
				} else if h.SocketPath() != "" {
					won.Add(1)
				}
			})
		}
		racing.Wait()
		got, err := tunnel(path, w.origin)
		if won.Load() != 1 || err != nil || got != "hello\n" {
			t.Fatalf("%d of the starters won, tunnel says %q, %v; want 1 and hello", won.Load(), got, err)
		}
	}
}

// TestSocketDrain: a proxy that drains leaves its path to a successor at once, and
// does not touch it again when the drain ends.
func TestSocketDrain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(tempDir(t), "p.sock")
	old := newWorld(t)
	h := startSocket(t, Socket{Path: path}, old.Handle)
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", old.origin)
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	drained := make(chan error, 1)
	go func() { drained <- h.Shutdown(ctx) }()
	if !eventually(func() bool { return !exists(path) }) {
		t.Error("the socket is there while the proxy drains")
	}
	w := newWorld(t)
	startSocket(t, Socket{Path: path}, w.Handle)
	cut()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want context.Canceled, as there was a tunnel", err)
	}
	if got, err := tunnel(path, w.origin); err != nil || got != "hello\n" {
		t.Errorf("after the drain, tunnel through the successor says %q, %v, want hello", got, err)
	}
}

// TestSocketSuccessor: Close does not remove a socket that took this one's place.
func TestSocketSuccessor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(tempDir(t), "p.sock")
	first := startSocket(t, Socket{Path: path}, newWorld(t).Handle)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	startSocket(t, Socket{Path: path}, w.Handle)
	if err := first.Close(); err != nil {
		t.Errorf("Close of the first: %v", err)
	}
	if got, err := tunnel(path, w.origin); err != nil || got != "hello\n" {
		t.Errorf("tunnel through the second says %q, %v, want hello", got, err)
	}
}
