// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenerOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	if inForeignNamespace(listen(t)) {
		t.Error("a listener of this process's own namespace is taken for a foreign one")
	}
	type result struct {
		l   net.Listener
		err error
	}
	made := make(chan result)
	go func() {
		// The thread is never unlocked: it ends with the goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{nil, err}
			return
		}
		l, err := net.Listen("tcp4", "0.0.0.0:0")
		made <- result{l, err}
	}()
	r := <-made
	if r.err != nil {
		t.Skipf("cannot make a network namespace (%v); run as root", r.err)
	}
	defer r.l.Close()
	if !inForeignNamespace(r.l) || listenAddr(r.l).IsValid() {
		t.Error("a listener of another network namespace is taken for one of our own")
	}
}
