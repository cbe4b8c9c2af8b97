// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// startSocket is Socket.Start that must not fail.
func startSocket(t *testing.T, s Socket, h *proxycore.Handle) *proxycore.Handle {
	t.Helper()
	with, err := s.Start(t.Context(), h)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return with
}

// tunnel asks the proxy behind the socket for a tunnel and returns what it says.
func tunnel(path, target string) (string, error) {
	c, err := net.DialTimeout("unix", path, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", target)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return res.Status, nil
	}
	line, err := r.ReadString('\n')
	return line, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode().Perm()
}

func TestSocketFresh(t *testing.T) {
	var dirs []string
	t.Cleanup(func() { // after the world, and with it all sockets, is closed
		for _, dir := range dirs {
			if exists(dir) {
				t.Errorf("%s is there after Close", dir)
			}
		}
	})
	w := newWorld(t)
	for _, umask := range []int{0, 0o022, 0o777} {
		old := unix.Umask(umask)
		h, err := Socket{}.Start(t.Context(), w.Handle)
		unix.Umask(old)
		if err != nil {
			t.Fatalf("Start with umask %#o: %v", umask, err)
		}
		path := h.SocketPath()
		if got, err := tunnel(path, w.origin); err != nil || got != "hello\n" {
			t.Errorf("allowed tunnel through the socket says %q, %v, want hello", got, err)
		}
		if got, err := tunnel(path, "example.com:443"); err != nil || !strings.HasPrefix(got, "403") {
			t.Errorf("denied tunnel through the socket says %q, %v, want 403", got, err)
		}
		if s, d := mode(t, path), mode(t, filepath.Dir(path)); s != 0o600 || d != 0o700 {
			t.Errorf("with umask %#o the socket has mode %#o and its directory %#o, want 0600 and 0700", umask, s, d)
		}
		dirs = append(dirs, filepath.Dir(path))
	}
}

// TestSocketClose: the file is gone the moment Close returns, and nobody is connected.
func TestSocketClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := startSocket(t, Socket{}, w.Handle)
	c, err := net.Dial("unix", h.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if exists(filepath.Dir(h.SocketPath())) {
		t.Error("the socket's directory is there after Close")
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read from the proxy after Close: %v, want the end", err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := (Socket{}).Start(t.Context(), w.Handle); err == nil {
		t.Error("Start with a closed handle works")
	}
}

func TestSocketExplicit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(tempDir(t), "p.sock")
	h := startSocket(t, Socket{Path: path}, w.Handle)
	if got := h.SocketPath(); got != path {
		t.Errorf("SocketPath = %s, want %s", got, path)
	}
	if got, err := tunnel(path, w.origin); err != nil || got != "hello\n" {
		t.Errorf("tunnel says %q, %v, want hello", got, err)
	}
	if got := mode(t, path); got != 0o600 {
		t.Errorf("mode = %#o, want 0600", got)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left after Close: %v", left)
	}
}

// tempDir is t.TempDir with a short path, a private mode, and this user as its owner.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "bridge-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestSocketOccupied: what is at the path already stays as it is, and Start fails.
func TestSocketOccupied(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		make       func(t *testing.T, path string)
	}{
		{"file", "not a socket", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"directory", "not a socket", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"symbolic link", "not a socket", func(t *testing.T, path string) {
			if err := os.Symlink("/etc/passwd", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"dangling link", "not a socket", func(t *testing.T, path string) {
			if err := os.Symlink(path+".elsewhere", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"live socket", "in use", func(t *testing.T, path string) {
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}},
		{"socket that a forked child still holds", "in use", func(t *testing.T, path string) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			held, err := l.File() // as a child has it until it executes something
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { held.Close() })
			l.SetUnlinkOnClose(false)
			l.Close()
		}},
		{"live datagram socket", "in use", func(t *testing.T, path string) {
			l, err := net.ListenPacket("unixgram", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(tempDir(t), "p.sock")
			tc.make(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			h, err := Socket{Path: path}.Start(t.Context(), w.Handle)
			if err == nil || h != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Start = %v, %v, want an error with %q", h, err, tc.want)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("what was at the path is gone: %v", err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
				t.Errorf("in the directory: %v, want only what was there", left)
			}
			if _, err := w.Attach(newPipeListener(t), proxycore.Listening{}); err == nil {
				t.Error("the handle works after a failed Start, want it closed")
			}
		})
	}
}

func newPipeListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestSocketBestEffort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var reason error
	h, err := Socket{Path: "/no/such/directory/p.sock", BestEffort: func(err error) { reason = err }}.Start(t.Context(), w.Handle)
	if err != nil || h != w.Handle || h.SocketPath() != "" {
		t.Errorf("Start = %v, %v, want the handle as it was", h, err)
	}
	if !errors.Is(reason, fs.ErrNotExist) {
		t.Errorf("reason = %v, want one that the directory does not exist", reason)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Socket{}).Start(ended, w.Handle); !errors.Is(err, context.Canceled) {
		t.Errorf("Start after the context's end: %v, want context.Canceled", err)
	}
}
