// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"runtime"
	"testing"
	"time"
)

// TestAttachClose: Close does not wait for what the proxy may yet say, not even where Exec, which failed,
// has made the control socket one that blocks.
func TestAttachClose(t *testing.T) {
	t.Parallel()
	for range 100 { // whether the reader waits already is up to the scheduler
		conn, _ := controlPair(t)
		f, err := conn.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		f.Fd() // blocks from here on
		a := &attached{conn: conn, done: make(chan struct{})}
		reading := make(chan struct{})
		go func() {
			defer close(a.done)
			close(reading)
			awaitEnd(a.conn)
		}()
		<-reading
		runtime.Gosched()
		closed := make(chan error, 1)
		go func() { closed <- a.close() }()
		select {
		case err := <-closed:
			if err != nil {
				t.Fatalf("close: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("close waits for the proxy")
		}
	}
}
