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
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketPathErrors(t *testing.T) {
	t.Parallel()
	open := tempDir(t)
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(tempDir(t), strings.Repeat("x", 120-len(tempDir(t))))
	for _, tc := range []struct{ name, path, want string }{
		{"too long", long, "the limit for Unix sockets is 107"},
		{"NUL", "/tmp/a\x00b", "NUL"},
		{"no directory", "/no/such/p.sock", "no such file"},
		{"file as directory", "/etc/passwd/p.sock", "not a directory"},
		{"directory open to all", open + "/p.sock", "writable by others"},
	} {
		_, err := Socket{Path: tc.path}.Start(t.Context(), newWorld(t).Handle)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Start: %v, want an error with %q", tc.name, err, tc.want)
		}
	}
}

// TestSocketSticky: /tmp is good enough, where only owners may remove files.
func TestSocketSticky(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	startSocket(t, Socket{Path: filepath.Join(dir, "p.sock")}, newWorld(t).Handle)
}

func TestSocketForeignDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not tested: only root can make a directory of another user")
	}
	dir := tempDir(t)
	if err := os.Chown(dir, ordinaryUser, -1); err != nil {
		t.Fatal(err)
	}
	_, err := Socket{Path: filepath.Join(dir, "p.sock")}.Start(t.Context(), newWorld(t).Handle)
	if err == nil || !strings.Contains(err.Error(), "belongs to user 54321") {
		t.Errorf("Start: %v, want an error that the directory is another user's", err)
	}
}

// TestSocketFallback: a directory of the environment that will not do is passed over.
func TestSocketFallback(t *testing.T) {
	deep := filepath.Join(tempDir(t), strings.Repeat("d", 100))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "/no/such/directory")
	t.Setenv("TMPDIR", deep)
	h := startSocket(t, Socket{}, newWorld(t).Handle)
	if got := h.SocketPath(); !strings.HasPrefix(got, "/tmp/"+freshPrefix) {
		t.Errorf("SocketPath = %s, want it below /tmp", got)
	}
}

// TestSocketSweep: what a killed process left is removed by the next start, what is
// in use or somebody's own is not.
func TestSocketSweep(t *testing.T) {
	base := tempDir(t)
	t.Setenv("XDG_RUNTIME_DIR", base)
	left := filepath.Join(base, freshPrefix+"0123456789abcdef")
	kept := filepath.Join(base, freshPrefix+"fedcba9876543210")
	empty := filepath.Join(base, freshPrefix+"mine")
	for _, dir := range []string{left, kept, empty} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if dir != empty {
			leaveStale(t, filepath.Join(dir, freshSocket))
		}
	}
	if err := os.WriteFile(filepath.Join(kept, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	first := startSocket(t, Socket{}, w.Handle)
	second := startSocket(t, Socket{}, newWorld(t).Handle)
	if exists(left) {
		t.Error("the directory of a dead process is still there")
	}
	if !exists(filepath.Join(kept, "notes")) || !exists(empty) {
		t.Error("somebody's own file or directory is gone")
	}
	if first.SocketPath() == second.SocketPath() {
		t.Error("two starts have the same path")
	}
	if got, err := tunnel(first.SocketPath(), w.origin); err != nil || got != "hello\n" {
		t.Errorf("after the second start, the first's tunnel says %q, %v, want hello", got, err)
	}
}

// TestSocketLocked: a directory that somebody keeps locked is an error, not a hang.
func TestSocketLocked(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	d, err := openDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what lockPatience does as well, but later
	if _, err := d.lock(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "locked by another process") {
		t.Errorf("lock: %v, want an error that the directory is locked", err)
	}
}

// TestSocketStaleness: only a refused connection makes a dead socket, and one that is
// gone is no longer in the way. Whatever else happens, nothing is replaced.
func TestSocketStaleness(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		answer error
		stale  uint64
		want   string // in the error; "" means none
	}{
		{nil, 0, "in use"},
		{unix.EAGAIN, 0, "in use"}, // its backlog is full
		{unix.EPROTOTYPE, 0, "in use"},
		{unix.ECONNREFUSED, 7, ""},
		{unix.ENOENT, 0, ""},
		{unix.EACCES, 0, "permission denied"},
		{unix.EMFILE, 0, "too many open files"},
	} {
		stale, err := staleness(tc.answer, "/p.sock", 7)
		if stale != tc.stale || (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("after %v: %d, %v, want %d and an error with %q", tc.answer, stale, err, tc.stale, tc.want)
		}
	}
}

// TestSocketPeer: only the users who are allowed get a connection.
func TestSocketPeer(t *testing.T) {
	t.Parallel()
	me := uint32(os.Geteuid())
	for _, tc := range []struct {
		uids []uint32
		want bool
	}{{[]uint32{me}, true}, {[]uint32{me + 1, me}, true}, {[]uint32{me + 1}, false}, {nil, false}} {
		raw, err := net.Listen("unix", filepath.Join(tempDir(t), "p.sock"))
		if err != nil {
			t.Fatal(err)
		}
		l := &peerListener{UnixListener: raw.(*net.UnixListener), uids: tc.uids, remove: func() error { return nil }}
		accepted := make(chan bool)
		go func() {
			c, err := l.Accept()
			if err == nil {
				c.Close()
			}
			accepted <- err == nil
		}()
		c, err := net.Dial("unix", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil { // refused or accepted, it is closed
			t.Error("read from a connection that nobody writes to")
		}
		c.Close()
		l.Close()
		if got := <-accepted; got != tc.want {
			t.Errorf("uids %v: connection of %d accepted: %t, want %t", tc.uids, me, got, tc.want)
		}
	}
}

// TestSocketLockedByOthers: where other users can lock the directory, their doing so
// keeps nobody from starting and closing.
func TestSocketLockedByOthers(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "p.sock")
	leaveStale(t, path)
	w := newWorld(t)
	h, err := Socket{Path: path}.Start(t.Context(), w.Handle)
	if err != nil {
		t.Fatalf("Start in a locked directory: %v", err)
	}
	if got, err := tunnel(path, w.origin); err != nil || got != "hello\n" {
		t.Errorf("tunnel says %q, %v, want hello", got, err)
	}
	if err := h.Close(); err != nil || exists(path) {
		t.Errorf("Close: %v, the socket exists: %t", err, exists(path))
	}
}

// TestSocketPublish: a starter who found a dead socket leaves alone what somebody
// else has put there since.
func TestSocketPublish(t *testing.T) {
	t.Parallel()
	path := tempDir(t)
	d, err := openDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.f.Close()
	leaveStale(t, filepath.Join(path, "p.sock"))
	stale, err := d.vacant("p.sock")
	if err != nil || stale == 0 {
		t.Fatalf("vacant = %d, %v, want the dead socket", stale, err)
	}
	var inodes []uint64
	for i, name := range []string{"first", "second"} {
		fd, ino, err := d.bindSocket(name, unix.SOCK_STREAM, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		inodes = append(inodes, ino)
		if err := d.publish(name, "p.sock", stale); (err == nil) != (i == 0) {
			t.Errorf("publish of the %s: %v", name, err)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(path, "p.sock"), &st); err != nil || st.Ino != inodes[0] {
		t.Errorf("the socket has inode %d, %v, want the first one's, %d", st.Ino, err, inodes[0])
	}
}
