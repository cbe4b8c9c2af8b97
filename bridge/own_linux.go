// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// own makes sure that this thread has capabilities over its mount and network
// namespaces, where it is to change them. With --dev, which takes uid 0, bwrap makes an
// ordinary user a second user namespace for the command, in which the capabilities are worth
// nothing for what belongs to the first one. New namespaces belong to the second.
func own(p params) error {
	flags := 0
	for _, ns := range []struct {
		kind   string
		flag   int
		needed bool
	}{
		{"mnt", unix.CLONE_NEWNS, true},
		{"net", unix.CLONE_NEWNET, p.Transparent || p.Port > 0 && p.Port < 1024},
	} {
		if !ns.needed {
			continue
		}
		ours, err := owns(ns.kind)
		if err != nil {
			return err
		}
		if !ours {
			flags |= ns.flag
		}
	}
	if flags == 0 {
		return nil
	}
	// It is this thread's alone, but it is this one that executes what comes next.
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("bridge: make namespaces of the sandbox's own within bwrap's: %w", err)
	}
	if flags&unix.CLONE_NEWNS != 0 {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("bridge: make the sandbox's mounts private: %w", err)
		}
	}
	if flags&unix.CLONE_NEWNET != 0 {
		if _, err := loopback(true); err != nil {
			return err
		}
	}
	return nil
}

// owns reports whether this thread's namespace of a kind belongs to its user namespace.
func owns(kind string) (bool, error) {
	var st [2]unix.Stat_t
	err := unix.Stat(ownTask+"ns/user", &st[0])
	if err != nil {
		return false, fmt.Errorf("bridge: find out whose the sandbox's %s namespace is: %w", kind, err)
	}
	fd, err := unix.Open(ownTask+"ns/"+kind, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("bridge: find out whose the sandbox's %s namespace is: %w", kind, err)
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if errors.Is(err, unix.EPERM) {
		return false, nil // the owner is above this thread's
	}
	if err == nil {
		defer unix.Close(owner)
		err = unix.Fstat(owner, &st[1])
	}
	if err != nil {
		return false, fmt.Errorf("bridge: find out whose the sandbox's %s namespace is: %w", kind, err)
	}
	return st[0].Dev == st[1].Dev && st[0].Ino == st[1].Ino, nil
}
