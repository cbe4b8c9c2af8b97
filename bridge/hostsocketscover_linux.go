// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// gathered is a file with the services that the process inside must take out of sight, or why there is none.
type gathered struct {
	fd  int
	err error
}

// gather finds out, outside, what services there are. There may be thousands of sockets, so they go in a file
// without a name. What failed the process inside tells, unless it need not know.
func gather() gathered {
	s, err := lookAround()
	if err != nil {
		return gathered{err: err}
	}
	fd, err := unix.MemfdCreate("services", unix.MFD_CLOEXEC)
	if err != nil {
		return gathered{err: fmt.Errorf("bridge: make a file for the host's sockets: %w", err)}
	}
	if err := json.NewEncoder(rawFile(fd)).Encode(findServices(s)); err != nil {
		unix.Close(fd)
		return gathered{err: fmt.Errorf("bridge: list the host's sockets: %w", err)}
	}
	return gathered{fd: fd}
}

// rawFile reads and writes a descriptor that somebody else closes.
type rawFile int

func (f rawFile) Write(b []byte) (int, error) { return unix.Write(int(f), b) }

func (f rawFile) Read(b []byte) (int, error) {
	n, err := unix.Read(int(f), b)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// takeServices receives what gather has found.
func takeServices(sock int) ([]service, error) {
	b, oob := make([]byte, maxAnswer), make([]byte, unix.CmsgSpace(4))
	var n, oobn int
	err := error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		n, oobn, _, _, err = unix.Recvmsg(sock, b, oob, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil || n == 0 {
		return nil, errNoSupervisor
	}
	var m message
	if err := json.Unmarshal(b[:n], &m); err != nil {
		return nil, fmt.Errorf("bridge: hear of the host's sockets: %w", err)
	}
	if m.Error != "" {
		return nil, errors.New(m.Error)
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(cmsgs) != 1 {
		return nil, errNoSupervisor
	}
	fds, err := unix.ParseUnixRights(&cmsgs[0])
	if err != nil || len(fds) != 1 {
		return nil, errNoSupervisor
	}
	defer unix.Close(fds[0])
	var all []service
	if err := json.NewDecoder(rawFile(fds[0])).Decode(&all); err != nil {
		return nil, fmt.Errorf("bridge: read the list of the host's sockets: %w", err)
	}
	return all, nil
}

// furnishDoors shuts the doors that mounts shut, and takes from this process's
// environment, which becomes the command's, what it must not know. It is called in
// the sandbox's mount namespace, by its first process, with CAP_SYS_ADMIN there.
func furnishDoors(p params) error {
	services, err := takeServices(fdSuper)
	if !p.open(DoorHostServices) {
		if err == nil {
			err = coverServices(services, p)
		}
		if err != nil {
			return err
		}
	}
	return unsetHostVariables(p)
}

// coverServices takes services out of sight wherever something mounted shows them, but for the
// sockets that are meant to stay. The mounts are the sandbox's own, locked in every
// namespace that the command makes, and go away with it; the host's files are not touched.
func coverServices(services []service, p params) error {
	// What the host mounts from now on would bring new ones in.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("bridge: make the sandbox's mounts private: %w", err)
	}
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	shows := map[string][]mount{}
	for _, m := range mounts {
		shows[m.device] = append(shows[m.device], m)
	}
	keep := append(slices.Clone(p.HostSockets), p.CABundle, p.Java)
	for _, s := range services {
		if !s.Dir && slices.Contains(p.HostSockets, string(s.Path)) {
			continue
		}
		for _, m := range shows[s.Device] {
			if !within(m.root, string(s.Inside)) {
				continue
			}
			at := path.Join(m.point, strings.TrimPrefix(string(s.Inside), strings.TrimSuffix(m.root, "/")))
			if err := s.cover(at, keep); err != nil && !outOfReach(err) {
				return fmt.Errorf("bridge: take %s, of the host's services, out of the sandbox's sight: %w", at, err)
			}
		}
	}
	return nil
}

// outOfReach reports whether err says that there is nothing to cover: it has gone since,
// something else is in its place or above it, or this user, and so the command, cannot get there.
func outOfReach(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ELOOP)
}

// cover covers s at the path at. It opens what it covers and looks at that, so that
// nobody can put a link to something else in its place meanwhile.
func (s service) cover(at string, keep []string) error {
	fd, err := unix.Open(at, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch kind := st.Mode & unix.S_IFMT; {
	case !s.Dir && kind == unix.S_IFSOCK:
		if _, err := os.Lstat(nullDevice); err != nil {
			return fmt.Errorf("with what? %v", err) // not an error of what is to be covered
		}
		return unix.Mount(nullDevice, descriptorPath(fd), "", unix.MS_BIND, "")
	case s.Dir && kind == unix.S_IFDIR && uint64(st.Dev) == s.StDev && st.Ino == s.Ino:
		return s.coverDir(fd, at, keep)
	}
	return nil // something else, which the caller has put there
}

// coverDir puts an empty directory over the open one, with what of it is to stay.
func (s service) coverDir(fd int, at string, keep []string) error {
	stay := map[string]int{} // open files by their paths below at
	defer func() {
		for _, fd := range stay {
			unix.Close(fd)
		}
	}()
	for _, name := range keep {
		if !below(string(s.Path), name) {
			continue
		}
		rel := strings.TrimPrefix(name, string(s.Path))
		if fd, err := unix.Open(at+rel, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil && stay[rel] == 0 {
			stay[rel] = fd
		}
	}
	if err := unix.Mount("tmpfs", descriptorPath(fd), "tmpfs", harmless, "mode=0755,size=64k"); err != nil {
		return err
	}
	for rel, fd := range stay {
		if err := bring(fd, at+rel); err != nil {
			return err
		}
	}
	return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|harmless, "")
}

// bring makes the open file appear at the path to.
func bring(fd int, to string) error {
	if err := os.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	return unix.Mount(descriptorPath(fd), to, "", unix.MS_BIND, "")
}

// descriptorPath is a path that leads to an open file, whatever its name leads to by now.
func descriptorPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
