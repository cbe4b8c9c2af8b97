// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pinned returns a copy that connects to its Unix socket in the directory that holds
// it now, links followed, wherever that is moved and whatever takes its place. It is for
// a server whose clients may rename directories on the way there: they could put a
// socket of their own in its place, and be sent the credentials. A proxy that comes back in
// another directory is not found. The directory is held open for as long as the copy, or
// a copy of that, is in use. With the other schemes there is no path, and it changes nothing.
func (u *Upstream) Pinned() (*Upstream, error) {
	v := *u
	if v.scheme != "unix" {
		return &v, nil
	}
	path, err := filepath.EvalSymlinks(v.path)
	if err != nil {
		return nil, fmt.Errorf("proxycore: the socket of the upstream %v: %w; start that proxy first", u, err)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("proxycore: the directory of the upstream %v: %w", u, err)
	}
	v.dir, v.base = dir, filepath.Base(path)
	return &v, nil
}

// socketPath is where to connect to. The caller keeps u alive until it has.
func (u *Upstream) socketPath() string {
	if u.dir == nil {
		return u.path
	}
	return "/proc/self/fd/" + strconv.Itoa(int(u.dir.Fd())) + "/" + u.base
}
