// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

func deadline() time.Time { return time.Now().Add(patience) }

// impatient is control with another bound for a handshake.
func (w *world) impatient(t *testing.T, a Admission, patience time.Duration) *Admitting {
	t.Helper()
	in := w.control(t, a)
	in.in.mu.Lock()
	in.in.patience = patience
	in.in.mu.Unlock()
	return in
}

// dialControl connects like a peer that is about to misbehave.
func dialControl(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(deadline()); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantError wants c to be refused with a text.
func wantError(t *testing.T, c *net.UnixConn, want string) {
	t.Helper()
	m, fds, err := receiveFDs(c)
	if errors.Is(err, unix.ECONNRESET) {
		m, fds, err = receiveFDs(c)
	}
	closeAll(fds)
	if err != nil || !strings.Contains(m.Error, want) {
		t.Errorf("the answer is %+v, %v, want an error with %q", m, err, want)
	}
}

// A request that is none is refused before anything else is said.
func TestAdmissionRefusesRequests(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{})
	for name, request := range map[string]string{
		"another version": `{"Attach":2}`,
		"no version":      `{}`,
		"unknown field":   `{"Attach":1,"Root":true}`,
		"two values":      `{"Attach":1} {"Attach":1}`,
		"no JSON":         "CONNECT a:443 HTTP/1.1\r\n\r\n",
		"wrong type":      `{"Attach":"1"}`,
	} {
		c := dialControl(t, in.Path())
		if _, err := c.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		wantError(t, c, "same version")
	}
	long := dialControl(t, in.Path())
	if _, err := long.Write([]byte(`{"Attach":1` + strings.Repeat(" ", 4000) + `}`)); err != nil {
		t.Fatal(err)
	}
	wantError(t, long, "too long")
	laden := dialControl(t, in.Path())
	if _, _, err := laden.WriteMsgUnix([]byte(`{"Attach":1}`), unix.UnixRights(0, 1), nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, laden, "with descriptors")
	in.sandboxes(t, 0)
}

// Who says nothing has his time, and no more.
func TestAdmissionSlowPeer(t *testing.T) {
	w := newWorld(t)
	in := w.impatient(t, Admission{MaxSandboxes: 1}, 50*time.Millisecond)
	c := dialControl(t, in.Path())
	wantError(t, c, "has asked for nothing")
	in.sandboxes(t, 0)
}

// One sandbox too many is refused, and its place is free again when one ends.
func TestAdmissionLimit(t *testing.T) {
	w := newWorld(t)
	log, said := lines(t)
	in := w.control(t, Admission{MaxSandboxes: 2, Logger: log})
	first, second := dialControl(t, in.Path()), dialControl(t, in.Path())
	in.sandboxes(t, 2)
	wantError(t, dialControl(t, in.Path()), "which is its limit")
	if line, err := said.ReadString('\n'); !strings.Contains(line, "sandbox refused") {
		t.Errorf("logged %q, %v", line, err)
	}
	first.Close()
	in.sandboxes(t, 1)
	if got := output(t, container(t, "attach", in.Path(), "", "true"), 0); got != "" {
		t.Errorf("the next one says %q", got)
	}
	second.Close()
	in.sandboxes(t, 0)
}

func TestAdmissionStartRefuses(t *testing.T) {
	w := newWorld(t)
	foreign, _ := proxycore.NewHandle(proxycore.HandleConfig{})
	defer foreign.Close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	live := w.control(t, Admission{})
	for _, tt := range []struct {
		name string
		ctx  context.Context
		a    Admission
		h    *proxycore.Handle
		want string
	}{
		{"no handle", t.Context(), Admission{}, nil, "handle is nil"},
		{"over", over, Admission{Path: filepath.Join(dir, "s")}, w.Handle, "context canceled"},
		{"negative sandboxes", t.Context(), Admission{MaxSandboxes: -1}, w.Handle, "negative"},
		{"negative connections", t.Context(), Admission{MaxConns: -1}, w.Handle, "negative"},
		{"everybody", t.Context(), Admission{AllowUIDs: []uint32{overflowUID}}, w.Handle, "everybody"},
		{"unknown policy", t.Context(), Admission{Transparent: true}, foreign, "policy is not known"},
		{"a file", t.Context(), Admission{Path: filepath.Join(dir, "file")}, w.Handle, "not a socket"},
		{"in use", t.Context(), Admission{Path: live.Path()}, w.Handle, "in use"},
		{"no directory", t.Context(), Admission{Path: filepath.Join(dir, "x", "s")}, w.Handle, "make its directory"},
		{"long", t.Context(), Admission{Path: filepath.Join(dir, strings.Repeat("x", 120))}, w.Handle, "shorter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.a.Start(tt.ctx, tt.h); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v, want %q in it", err, tt.want)
			}
		})
	}
	closed := newWorld(t)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "late")
	if _, err := (Admission{Path: path}).Start(t.Context(), closed.Handle); !errors.Is(err, proxycore.ErrClosed) || exists(path) {
		t.Errorf("Start with a closed proxy: %v; the socket is there: %v", err, exists(path))
	}
}

// The socket's mode, its fresh directory, a dead one in its place, and its end.
func TestAdmissionSocket(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		uids []uint32
		want os.FileMode
	}{{nil, 0o600}, {[]uint32{1000}, 0o666}} {
		old := unix.Umask(0o077)
		in := w.control(t, Admission{AllowUIDs: tt.uids})
		unix.Umask(old)
		if got := mode(t, in.Path()); got != tt.want {
			t.Errorf("AllowUIDs %v: mode %#o, want %#o", tt.uids, got, tt.want)
		}
	}
	path := filepath.Join(t.TempDir(), "c.sock")
	dead := socketOf(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0, &unix.SockaddrUnix{Name: path}, true)
	unix.Close(dead)
	for range 2 {
		in, err := Admission{Path: path}.Start(t.Context(), w.Handle)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(in.Close(), in.Close()); err != nil || exists(path) {
			t.Errorf("Close: %v; the socket is there: %v", err, exists(path))
		}
	}
	fresh, err := Admission{}.Start(t.Context(), w.Handle)
	if err != nil {
		t.Fatal(err)
	}
	if dir := filepath.Dir(fresh.Path()); mode(t, dir) != 0o700 || fresh.in.a.Name != "proxy" {
		t.Errorf("the fresh directory has mode %#o, and the name is %q", mode(t, dir), fresh.in.a.Name)
	}
	if err := w.Close(); err != nil || exists(filepath.Dir(fresh.Path())) {
		t.Errorf("Close of the proxy: %v; the directory is there: %v", err, exists(filepath.Dir(fresh.Path())))
	}
	if err := fresh.Close(); err != nil {
		t.Errorf("Close after the proxy's: %v", err)
	}
}

// Sandboxes that come and go at once, while the policy changes, are each served and gone.
func TestAdmissionCrowd(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{Name: "crowd"})
	var wrong atomic.Int32
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			cmd := container(t, "attach", in.Path(), "", self, "helper", "connect", w.origin)
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "200 hello\n" {
				t.Logf("%v: %s", err, out)
				wrong.Add(1)
			}
		}()
	}
	for range 8 {
		if err := in.SetFilter(w.filter); err != nil {
			t.Error(err)
		}
		<-done
	}
	if wrong.Load() > 0 {
		t.Errorf("%d of 8 sandboxes were not served", wrong.Load())
	}
	seen := make(map[string]bool)
	for range 8 {
		seen[(<-w.records).Sandbox] = true
	}
	if len(seen) != 8 {
		t.Errorf("8 sandboxes are recorded as %v", seen)
	}
	in.sandboxes(t, 0)
}
