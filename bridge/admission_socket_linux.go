// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// controlSocket is the name of a control socket in a fresh directory.
const controlSocket = freshSocket

// listenControl makes the control socket of a, by the rules of Socket.
func listenControl(ctx context.Context, a Admission) (*peerListener, error) {
	if a.Path == "" {
		return listenControlFresh(a)
	}
	path, err := filepath.Abs(a.Path)
	if err != nil {
		return nil, fmt.Errorf("bridge: socket path %q: %w", a.Path, err)
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	dir, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	unlock, err := dir.lock(ctx)
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	defer unlock()
	name := filepath.Base(path)
	stale, err := dir.vacant(name)
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	l, err := bindControl(a, dir, name, path, stale)
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	return l, nil
}

// listenControlFresh is listenControl in a directory of its own, which only this user
// and root can enter: for others it must be mounted somewhere.
func listenControlFresh(a Admission) (*peerListener, error) {
	var problems []error
	for _, base := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.Getenv("TMPDIR"), "/tmp"} {
		if base == "" {
			continue
		}
		dir, err := freshDir(base)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		l, err := bindControl(a, dir, controlSocket, filepath.Join(dir.path, controlSocket), 0)
		if err == nil {
			return l, nil
		}
		problems = append(problems, err, dir.close())
	}
	return nil, fmt.Errorf("bridge: no place for a control socket: set TMPDIR to a short path that you can write to, "+
		"or name the socket's path: %w", errors.Join(problems...))
}

// bindControl makes the socket under a passing name, and gives it its own when it
// already listens and has its mode: whoever sees the file can connect.
func bindControl(a Admission, dir *socketDir, name, path string, stale uint64) (*peerListener, error) {
	passing, err := passingName()
	if err != nil {
		return nil, err
	}
	failed := func(err error) error {
		return fmt.Errorf("bridge: make control socket %s: %w: %s", path, err, socketRemedy(err))
	}
	mode := uint32(0o600)
	if len(a.AllowUIDs) > 0 {
		mode = 0o666
	}
	f, ino, err := dir.bindPackets(passing, mode)
	if err != nil {
		return nil, failed(err)
	}
	defer f.Close() // FileListener duplicates it
	if err := dir.publish(passing, name, stale); err != nil {
		_ = unix.Unlinkat(dir.fd(), passing, 0)
		return nil, failed(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, errors.Join(failed(err), dir.unlink(name, ino))
	}
	return &peerListener{
		UnixListener: l.(*net.UnixListener), path: path,
		remove: sync.OnceValue(func() error { return errors.Join(dir.unlink(name, ino), dir.close()) }),
	}, nil
}

// bindPackets makes a listening SEQPACKET socket called name, on which messages keep
// their borders.
func (d *socketDir) bindPackets(name string, mode uint32) (f *os.File, ino uint64, err error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	f = os.NewFile(uintptr(fd), name)
	// The file is born with the mode of the socket, less the umask.
	err = errors.Join(unix.Fchmod(fd, 0o600), unix.Bind(fd, &unix.SockaddrUnix{Name: d.at(name)}))
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	var st unix.Stat_t
	if err = unix.Listen(fd, unix.SOMAXCONN); err == nil {
		if err = unix.Fchmodat(d.fd(), name, mode, 0); err == nil {
			err = unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
	if err != nil {
		_ = unix.Unlinkat(d.fd(), name, 0)
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Ino, nil
}

// closeRights closes the descriptors in control data that nobody wants.
func closeRights(oob []byte) {
	cmsgs, _ := unix.ParseSocketControlMessage(oob)
	for _, c := range cmsgs {
		fds, _ := unix.ParseUnixRights(&c)
		closeAll(fds)
	}
}

// decodeStrictly reads one JSON value that has no field but those of v.
func decodeStrictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("bridge: a message has something behind its end")
	}
	return nil
}
