// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownNamespaces says how the first process of a sandbox of our own is cloned.
// It needs no privilege: it gets the capabilities of the new user namespace, which are
// worth nothing outside, and drops them before the command runs.
func ownNamespaces() (*syscall.SysProcAttr, error) {
	uids, err := identityMap("uid", os.Geteuid(), unix.CAP_SETUID)
	if err != nil {
		return nil, err
	}
	gids, err := identityMap("gid", os.Getegid(), unix.CAP_SETGID)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID |
			unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
		UidMappings: uids,
		GidMappings: gids,
		// Only a process that may change groups at all may leave that to others.
		GidMappingsEnableSetgroups: capable(unix.CAP_SETGID),
		// A uid other than 0 keeps capabilities over the execution only if they are ambient.
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_SETPCAP},
	}, nil
}

// identityMap maps every id that this process may map to itself, so that files
// have the same owners inside, or else only its own id.
func identityMap(kind string, own, needs int) ([]syscall.SysProcIDMap, error) {
	if !capable(needs) {
		return []syscall.SysProcIDMap{{ContainerID: own, HostID: own, Size: 1}}, nil
	}
	b, err := readProc("/proc/self/" + kind + "_map")
	if err != nil {
		return nil, fmt.Errorf("bridge: find out which %ss there are: %w", kind, err)
	}
	m, err := parseIDMap(string(b))
	if err != nil {
		return nil, fmt.Errorf("bridge: read /proc/self/%s_map: %w", kind, err)
	}
	return m, nil
}

// parseIDMap returns the identity map of the ids that a uid_map, as user_namespaces(7) describes
// it, has inside. Ids have 32 bits, but the fields of SysProcIDMap are ints: where those
// have 32 bits, too, a map of all ids takes two entries, and the last id is left out.
func parseIDMap(text string) (m []syscall.SysProcIDMap, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("it has a line %q", line)
		}
		first, err1 := strconv.ParseUint(f[0], 10, 32)
		size, err2 := strconv.ParseUint(f[2], 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		for size > 0 && first <= math.MaxInt {
			n := min(size, math.MaxInt)
			m = append(m, syscall.SysProcIDMap{ContainerID: int(first), HostID: int(first), Size: int(n)})
			first, size = first+n, size-n
		}
	}
	return m, nil
}

// capable reports whether this process has capability c in its user namespace.
func capable(c int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	return data[c/32].Effective&(1<<(c%32)) != 0
}

// furnish makes the new namespaces habitable: a /proc that shows them and not
// the host's processes, and a loopback interface that is up.
func furnish() error {
	if err := checkFirst(); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("bridge: make the sandbox's mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", harmless, ""); err != nil {
		return fmt.Errorf("bridge: mount /proc in the sandbox: %w", err)
	}
	for _, name := range protectedProc {
		if err := protect(name); err != nil {
			return err
		}
	}
	if err := coverHazards(); err != nil {
		return err
	}
	_, err := loopback(true)
	return err
}

// harmless are the flags of mounts that nothing needs to be run from.
const harmless = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// protect makes name read-only, if it exists.
func protect(name string) error {
	err := unix.Mount(name, name, "", unix.MS_BIND|unix.MS_REC, "")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = unix.Mount("", name, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|harmless, "")
	}
	if err != nil {
		return fmt.Errorf("bridge: make %s read-only in the sandbox: %w", name, err)
	}
	return nil
}

// coverHazards takes out of sight what the host has mounted besides /proc and gives
// away the same, and has the working directory be where its path leads now. What cannot
// be covered (a file, a directory that this user cannot reach) checkMounts judges.
func coverHazards() error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	for _, m := range strayProcs(mounts) {
		err := unix.Mount("tmpfs", m.point, "tmpfs", unix.MS_RDONLY|harmless, "mode=0555,size=4k")
		if err != nil && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("bridge: cover %s in the sandbox: %w", m.point, err)
		}
	}
	for _, name := range ueventHelpers(mounts) {
		if err := protect(name); err != nil && !errors.Is(err, unix.EACCES) {
			return err
		}
	}
	if wd, err := unix.Getwd(); err == nil && within("/", wd) {
		_ = unix.Chdir(wd) // a directory that is gone or closed to this user will do as it is
	}
	return nil
}

// coverHidden takes what the caller names out of sight.
func coverHidden(all []cover) error {
	for _, f := range all {
		var err error
		if f.Dir {
			err = unix.Mount("tmpfs", f.Path, "tmpfs", unix.MS_RDONLY|harmless, "mode=0555,size=4k")
		} else {
			err = unix.Mount(nullDevice, f.Path, "", unix.MS_BIND, "")
		}
		if err != nil {
			return fmt.Errorf("bridge: hide %s from the sandbox: %w", f.Path, err)
		}
	}
	return nil
}
