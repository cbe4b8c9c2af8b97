// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// listenFresh makes a directory of our own and the socket in it, in the first
// place that will do.
func (p place) listenFresh() (*peerListener, error) {
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
		l, err := p.bind(dir, freshSocket, filepath.Join(dir.path, freshSocket), 0)
		if err == nil {
			return l, nil
		}
		problems = append(problems, err, dir.close())
	}
	return nil, fmt.Errorf("bridge: no place for a socket: set TMPDIR to a short path that you can write to, "+
		"or name the socket's path: %w", errors.Join(problems...))
}

// freshDir makes a directory of mode 0700 below base. It stays locked while it is
// in use, which tells the next start, and systemd-tmpfiles, that it is.
func freshDir(base string) (*socketDir, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, fmt.Errorf("bridge: socket directory %q: %w", base, err)
	}
	parent, err := openDir(base)
	if err != nil {
		return nil, err
	}
	defer parent.close()
	sweep(parent)
	for range 8 { // a sweeper can be faster than our lock
		name, err := unforeseeable()
		if err != nil {
			return nil, err
		}
		name = freshPrefix + name
		path := filepath.Join(base, name)
		if err := checkPath(filepath.Join(path, freshSocket)); err != nil {
			return nil, err
		}
		if err := unix.Mkdirat(parent.fd(), name, 0o700); err != nil {
			return nil, fmt.Errorf("bridge: make socket directory %s: %w", path, err)
		}
		if d, err := claim(parent, name); err != nil || d != nil {
			return d, err
		}
	}
	return nil, fmt.Errorf("bridge: make a socket directory in %s: others keep removing it", base)
}

// claim opens and locks the directory that was just made; nil means that it is gone.
func claim(parent *socketDir, name string) (*socketDir, error) {
	path := filepath.Join(parent.path, name)
	// A umask may have taken the owner's rights. Nobody but this user could have put
	// anything else here: the parent was checked.
	if err := unix.Fchmodat(parent.fd(), name, 0o700, 0); errors.Is(err, unix.ENOENT) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("bridge: set the mode of %s: %w", path, err)
	}
	d, err := openIn(parent, name)
	if err != nil {
		return nil, nil
	}
	var st unix.Stat_t
	if unix.Flock(d.fd(), unix.LOCK_EX|unix.LOCK_NB) != nil || unix.Fstat(d.fd(), &st) != nil || st.Nlink == 0 {
		d.f.Close()
		return nil, nil
	}
	d.fresh = true
	return d, nil
}

func openIn(parent *socketDir, name string) (*socketDir, error) {
	fd, err := unix.Openat(parent.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(parent.path, name)
	return &socketDir{f: os.NewFile(uintptr(fd), path), path: path}, nil
}

// freshName matches the names of the directories that freshDir makes, and hardly
// anybody else's.
var freshName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^" + freshPrefix + "[0-9a-f]{16}$") })

// sweep removes what processes of this user that were killed have left in
// parent. A directory that is in use is locked. What does not work is left for
// the next time: nothing depends on it.
func sweep(parent *socketDir) {
	names, err := os.ReadDir(parent.path)
	if err != nil {
		return
	}
	for _, n := range names {
		if freshName().MatchString(n.Name()) && n.IsDir() {
			sweepOne(parent, n.Name())
		}
	}
}

func sweepOne(parent *socketDir, name string) {
	d, err := openIn(parent, name)
	if err != nil {
		return
	}
	defer d.f.Close()
	var st unix.Stat_t
	if unix.Fstat(d.fd(), &st) != nil || st.Uid != uint32(os.Geteuid()) || st.Mode&0o7777 != 0o700 {
		return
	}
	if unix.Flock(d.fd(), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return
	}
	left, err := d.f.ReadDir(-1)
	if err != nil {
		return
	}
	for _, f := range left {
		if f.Type() == os.ModeSocket && (f.Name() == freshSocket || strings.HasPrefix(f.Name(), passingStart)) {
			_ = unix.Unlinkat(d.fd(), f.Name(), 0)
		}
	}
	_ = unix.Unlinkat(parent.fd(), name, unix.AT_REMOVEDIR) // not if anything else is in it
}
