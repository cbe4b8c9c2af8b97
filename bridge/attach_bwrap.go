// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import "path/filepath"

// BwrapArgs returns the options to add to a bwrap(1) command line of the caller's own, behind
// all others and in front of the program that calls Attach with c and then Exec: a network and
// processes of its own, with that program as the first, and the directory of the control
// socket, which must be an absolute path. The file system is up to the caller.
//
// For a transparent one an ordinary user cannot have "--dev", with which bwrap makes a second
// user namespace, whose capabilities are worth nothing in the network's: "--dev-bind /dev /dev" does it.
//
//	bwrap --ro-bind / / --dev /dev --bind "$PWD" "$PWD" ARGS… -- sallyport attach --socket PATH -- make
func (c AttachConfig) BwrapArgs() []string {
	dir := filepath.Dir(c.Socket)
	args := []string{
		"--unshare-net", "--unshare-pid", "--unshare-ipc", "--as-pid-1", "--proc", "/proc",
		"--ro-bind", dir, dir,
		"--die-with-parent", "--new-session", "--cap-drop", "ALL", "--cap-add", "CAP_SETPCAP",
	}
	if c.Transparent {
		args = append(args, "--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_BIND_SERVICE")
	}
	return args
}
