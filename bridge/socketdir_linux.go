// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	freshPrefix  = "sallyport-socket-"
	freshSocket  = "proxy.sock"
	passingStart = ".sallyport-" // a socket that does not have its own name yet
	// lockPatience bounds the wait for others who start a socket in the same
	// directory, which takes microseconds.
	lockPatience = 5 * time.Second
	// sharedPatience is the same in a directory that other users can lock, too.
	sharedPatience = 250 * time.Millisecond
)

// socketDir is the directory of a socket. It is used by its descriptor, so that
// what was checked is what is used, even when somebody renames the path.
type socketDir struct {
	f     *os.File
	path  string
	fresh bool // made for the socket, locked for its life, and removed with it
	own   bool // only this user, and root, can open it
}

// openDir opens a directory in which nobody but its owner, this user and root,
// can replace what this process makes.
func openDir(path string) (*socketDir, error) {
	f, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("bridge: open the socket's directory: %w: %s", err, socketRemedy(err))
	}
	own, err := checkDir(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &socketDir{f: f, path: path, own: own}, nil
}

// socketRemedy says what to do about a socket that cannot be made.
func socketRemedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrExist):
		return "choose another path"
	case errors.Is(err, fs.ErrNotExist):
		return "make its directory first, or choose a path in one that exists"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("choose a path in a directory that user %d may write", os.Geteuid())
	}
	return "choose a path in another directory"
}

// checkDir reports whether nobody else can open f, and an error if others could replace
// what is in it.
func checkDir(f *os.File) (own bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, fmt.Errorf("bridge: look at the socket's directory %s: %w", f.Name(), err)
	}
	if me := uint32(os.Geteuid()); st.Uid != me && st.Uid != 0 {
		return false, fmt.Errorf("bridge: socket directory %s belongs to user %d, who could replace the socket: "+
			"choose one that belongs to user %d", f.Name(), st.Uid, me)
	}
	if st.Mode&(unix.S_IWGRP|unix.S_IWOTH) != 0 && st.Mode&unix.S_ISVTX == 0 {
		return false, fmt.Errorf("bridge: socket directory %s is writable by others (mode %#o), who could replace the socket: "+
			"chmod go-w it or choose another", f.Name(), st.Mode&0o7777)
	}
	return st.Uid == uint32(os.Geteuid()) && st.Mode&0o077 == 0, nil
}

func (d *socketDir) fd() int { return int(d.f.Fd()) }

// lock takes the directory for a moment, so that starters take turns. A fresh one is
// locked already. One that others can lock may be locked for ever: then lock gives up soon
// and without an error, and publish must do.
func (d *socketDir) lock(ctx context.Context) (unlock func(), err error) {
	if d.fresh {
		return func() {}, nil
	}
	patience := lockPatience
	if !d.own {
		patience = sharedPatience
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	retry := time.NewTicker(2 * time.Millisecond)
	defer retry.Stop()
	for {
		err := unix.Flock(d.fd(), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = unix.Flock(d.fd(), unix.LOCK_UN) }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("bridge: lock the socket's directory %s: %w", d.path, err)
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			if !d.own && parent.Err() == nil {
				return func() {}, nil
			}
			return nil, fmt.Errorf("bridge: socket directory %s is locked by another process: "+
				"choose another directory: %w", d.path, ctx.Err())
		}
	}
}

// at is a short path of name, whatever the length of the directory's.
func (d *socketDir) at(name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", d.fd(), name) }

// vacant makes sure that name may be taken. It returns the inode of a dead socket of
// ours that is there, which is to be replaced, or 0; everything else is left alone.
func (d *socketDir) vacant(name string) (stale uint64, err error) {
	full := filepath.Join(d.path, name)
	var st unix.Stat_t
	err = unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("bridge: look at %s: %w", full, err)
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return 0, fmt.Errorf("bridge: %s exists and is not a socket: remove it or choose another path", full)
	case st.Uid != uint32(os.Geteuid()):
		return 0, fmt.Errorf("bridge: socket %s belongs to user %d: choose another path", full, st.Uid)
	}
	return staleness(d.connect(name), full, st.Ino)
}

// staleness is what the answer to a connection says of the socket with the inode ino.
func staleness(answer error, path string, ino uint64) (stale uint64, err error) {
	switch {
	case errors.Is(answer, unix.ECONNREFUSED): // the only one that means that nobody listens
		return ino, nil
	case errors.Is(answer, fs.ErrNotExist): // its owner has just removed it, which takes no lock
		return 0, nil
	case answer == nil || errors.Is(answer, unix.EAGAIN) || errors.Is(answer, unix.EPROTOTYPE):
		return 0, fmt.Errorf("bridge: socket %s is in use by a running process: stop that or choose another path", path)
	}
	return 0, fmt.Errorf("bridge: find out whether socket %s is in use: %w: choose another path", path, answer)
}

// connect tries a socket, without waiting.
func (d *socketDir) connect(name string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: d.at(name)})
}

// bindSocket makes a listening socket of a type and mode called name.
func (d *socketDir) bindSocket(name string, typ int, mode uint32) (fd int, ino uint64, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, 0, err
	}
	var st unix.Stat_t
	err = errors.Join(
		unix.Fchmod(fd, mode), // the file is born with it, less the umask
		unix.Bind(fd, &unix.SockaddrUnix{Name: d.at(name)}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	if err = unix.Fchmodat(d.fd(), name, mode, 0); err == nil { // a umask may take too much
		if err = unix.Listen(fd, unix.SOMAXCONN); err == nil {
			err = unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		}
	}
	if err != nil {
		unix.Close(fd)
		_ = unix.Unlinkat(d.fd(), name, 0)
		return -1, 0, err
	}
	return fd, st.Ino, nil
}

// publish gives a socket its name, in place of the dead socket with the inode stale or
// of nothing at all. Without the lock, two starters may both have found the same dead
// socket: whoever is second finds the first one's in the exchange, and gives it back.
func (d *socketDir) publish(from, to string, stale uint64) error {
	if stale == 0 {
		return d.rename(from, to)
	}
	err := unix.Renameat2(d.fd(), from, d.fd(), to, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS): // a file system that cannot do this
		if err := d.unlink(to, stale); err != nil {
			return err
		}
		return d.rename(from, to)
	case errors.Is(err, fs.ErrNotExist): // somebody else removed the dead one
		return d.rename(from, to)
	case err != nil:
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd(), from, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && st.Ino == stale {
		return unix.Unlinkat(d.fd(), from, 0)
	}
	err = unix.Renameat2(d.fd(), from, d.fd(), to, unix.RENAME_EXCHANGE)
	return errors.Join(fmt.Errorf("another process has just taken the path: %w", fs.ErrExist), err)
}

// rename gives a socket a name that nothing has.
func (d *socketDir) rename(from, to string) error {
	err := unix.Renameat2(d.fd(), from, d.fd(), to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// A file system that cannot do this; a link does not replace anything either.
	if err := unix.Linkat(d.fd(), from, d.fd(), to, 0); err != nil {
		return err
	}
	return unix.Unlinkat(d.fd(), from, 0)
}

// unlink removes name if it is still the file that was made.
func (d *socketDir) unlink(name string, ino uint64) error {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Ino != ino {
		return nil
	}
	if err == nil {
		err = unix.Unlinkat(d.fd(), name, 0)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bridge: remove socket %s: %w", filepath.Join(d.path, name), err)
	}
	return nil
}

// close lets go of the directory, and removes it if it was made for the socket.
func (d *socketDir) close() error {
	defer d.f.Close()
	if !d.fresh {
		return nil
	}
	if err := unix.Rmdir(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bridge: remove the socket's directory: %w", err)
	}
	return nil
}

// passingName returns a name that nobody can foresee.
func passingName() (string, error) {
	s, err := unforeseeable()
	return passingStart + s, err
}

func unforeseeable() (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("bridge: choose a name for the socket: %w", err)
	}
	return strings.ToLower(hex.EncodeToString(b[:])), nil
}
