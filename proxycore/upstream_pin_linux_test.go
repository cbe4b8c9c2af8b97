// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"testing"
)

// TestUpstreamPinned: the socket is found again where its directory was moved, and what took
// its place is not connected to.
func TestUpstreamPinned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	listen := func() net.Listener {
		t.Helper()
		if err := os.Mkdir(dir+"/own", 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", dir+"/own/s")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	first := listen()
	plain, err := ParseUpstream("unix://u:p@" + dir + "/own/s")
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := plain.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	if pinned, err = pinned.WithLookup(LookupHere).WithCredentials("u2", "p2"); err != nil || pinned.String() != plain.String() {
		t.Fatalf("got %v, %v, want a copy with the name %v", pinned, err, plain)
	}
	if err := os.Rename(dir+"/own", dir+"/moved"); err != nil {
		t.Fatal(err)
	}
	second := listen()
	for _, c := range []struct {
		u *Upstream
		l net.Listener
	}{{pinned, first}, {plain, second}} {
		out, err := c.u.connect(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		in, err := c.l.Accept() // hangs if it came to the other one
		if err != nil {
			t.Fatal(err)
		}
		out.Close()
		in.Close()
	}
}

func TestUpstreamPinnedRefuses(t *testing.T) {
	t.Parallel()
	u, err := ParseUpstream("unix://" + t.TempDir() + "/absent")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Pinned(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the socket does not exist", err)
	}
	if u, err = ParseUpstream("http://proxy.example:3128"); err != nil {
		t.Fatal(err)
	}
	if v, err := u.Pinned(); err != nil || v.String() != u.String() {
		t.Errorf("got %v, %v, want a copy", v, err)
	}
}
