// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestRunEndsWithAStalledLog: a log that nobody reads stops the proxy, which is
// right, but once the command is over a signal has to end run.
func TestRunEndsWithAStalledLog(t *testing.T) {
	t.Parallel()
	log := fullFIFO(t)
	args := []string{"run", "--allow", "a.com", "--log", log, "--", "sh", "-c", `timeout 0.3 "$@"; echo over`, "sh"}
	p := newProc(t, append(args, self(t, "connect", "b.com:443")...)...).start()
	if got := p.line(); got != "over" {
		t.Fatalf("got %q, want the command to end without an answer of the proxy", got)
	}
	// The first signals may still find the command.
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	ended := make(chan int, 1)
	go func() { ended <- p.wait() }()
	for {
		select {
		case got := <-ended:
			if got != -1 {
				t.Errorf("got status %d, want a death by SIGTERM", got)
			}
			return
		case <-again.C:
			p.signal(syscall.SIGTERM)
		}
	}
}

// fullFIFO makes a FIFO with a reader that does not read and no room left.
func fullFIFO(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	if err := raw.Control(func(fd uintptr) {
		for {
			if _, err := syscall.Write(int(fd), block); errors.Is(err, syscall.EAGAIN) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return name
}
