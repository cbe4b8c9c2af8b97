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
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// maxSocketPath is what fits into sockaddr_un(7) beside the final NUL, in bytes.
const maxSocketPath = 107

func (s Socket) start(ctx context.Context, h *proxycore.Handle) (*proxycore.Handle, error) {
	if h == nil {
		return nil, errors.New("bridge: no proxy for the socket: the handle is nil")
	}
	with, err := s.bridge(ctx, h)
	switch {
	case err == nil:
		return with, nil
	case s.BestEffort != nil:
		s.BestEffort(err)
		return h, nil
	}
	return nil, errors.Join(err, h.Close())
}

func (s Socket) bridge(ctx context.Context, h *proxycore.Handle) (*proxycore.Handle, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("bridge: start the socket bridge: %w", err)
	}
	l, err := place{path: s.Path, typ: unix.SOCK_STREAM, mode: 0o600, uids: s.AllowUIDs}.listen(ctx)
	if err != nil {
		return nil, err
	}
	detach, err := h.Attach(l, proxycore.Listening{Name: l.path})
	if err != nil { // and l is closed
		return nil, errors.Join(fmt.Errorf("bridge: attach the socket to the proxy: %w", err), l.remove())
	}
	return h.WithSocket(l.path, func() error {
		detach()
		return l.remove() // which closing l has done; this is how the error gets out
	}), nil
}

// place is a socket that is to be made.
type place struct {
	path string // "" is in a fresh directory
	typ  int    // SOCK_STREAM or SOCK_SEQPACKET
	mode uint32 // of the file
	uids []uint32
}

// listen makes the socket, by the rules of Socket. It admits this process's user and p.uids.
func (p place) listen(ctx context.Context) (*peerListener, error) {
	if p.path == "" {
		return p.listenFresh()
	}
	path, err := filepath.Abs(p.path)
	if err != nil {
		return nil, fmt.Errorf("bridge: socket path %q: %w", p.path, err)
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	dir, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	l, err := p.listenAt(ctx, dir, path)
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	return l, nil
}

// checkPath refuses what connect(2) could not be given.
func checkPath(path string) error {
	if strings.ContainsRune(path, 0) {
		return fmt.Errorf("bridge: socket path %q has a NUL byte", path)
	}
	if len(path) > maxSocketPath {
		return fmt.Errorf("bridge: socket path %s is %d bytes long and the limit for Unix sockets is %d: choose a shorter one",
			path, len(path), maxSocketPath)
	}
	return nil
}

func (p place) listenAt(ctx context.Context, dir *socketDir, path string) (*peerListener, error) {
	unlock, err := dir.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	name := filepath.Base(path)
	stale, err := dir.vacant(name)
	if err != nil {
		return nil, err
	}
	return p.bind(dir, name, path, stale)
}

// bind makes the socket under a passing name, and gives it its own when it
// already listens and has its mode: whoever sees the file can connect.
func (p place) bind(dir *socketDir, name, path string, stale uint64) (*peerListener, error) {
	passing, err := passingName()
	if err != nil {
		return nil, err
	}
	fd, ino, err := dir.bindSocket(passing, p.typ, p.mode)
	if err != nil {
		return nil, fmt.Errorf("bridge: make socket %s: %w: %s", path, err, socketRemedy(err))
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close() // FileListener duplicates it
	if err := dir.publish(passing, name, stale); err != nil {
		_ = unix.Unlinkat(dir.fd(), passing, 0)
		return nil, fmt.Errorf("bridge: make socket %s: %w: %s", path, err, socketRemedy(err))
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bridge: use socket %s: %w", path, err), dir.unlink(name, ino))
	}
	uids := append([]uint32{uint32(os.Geteuid())}, p.uids...)
	return &peerListener{
		UnixListener: l.(*net.UnixListener), uids: uids, path: path,
		remove: sync.OnceValue(func() error { return errors.Join(dir.unlink(name, ino), dir.close()) }),
	}, nil
}

// peerListener accepts connections of certain users only, as SO_PEERCRED tells
// them. The mode of the file says the same, but not to who got hold of it otherwise.
type peerListener struct {
	*net.UnixListener
	uids []uint32
	path string
	// remove takes the socket out of the file system, if it is still this one, and
	// its directory, if it was made for it. It does so once, and says the same again.
	remove func() error
}

// Close removes the socket and stops listening, in this order, whoever calls it: the
// end of the handle, its drain, which may take hours more, or the proxy's death. So
// nobody finds a path that leads nowhere, and remove needs no lock: nobody replaces
// a socket that listens, and its inode does not become another's.
func (l *peerListener) Close() error { return errors.Join(l.remove(), l.UnixListener.Close()) }

// Accept returns the next connection of a user who is allowed one; others are closed.
func (l *peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil && slices.Contains(l.uids, uid) {
			return c, nil
		}
		c.Close()
	}
}

// Addr returns the path that clients use; the kernel knows the socket by another.
func (l *peerListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func peerUID(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil || err != nil {
		return 0, errors.Join(cerr, err)
	}
	return cred.Uid, nil
}
