// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ueventHelper is a file of sysfs that uid 0 may write without any capability, and by
// which it could have the kernel run a program outside the sandbox.
const ueventHelper = "/kernel/uevent_helper"

// mount is a line of mountinfo.
type mount struct {
	id, parent int
	device     string // of the file system, as MAJOR:MINOR
	root       string // what of the file system is mounted
	point      string // where
	readOnly   bool
	fsType     string
}

// readMounts returns the mounts of this thread's namespace that a path leads to.
func readMounts() ([]mount, error) {
	text, err := readProc(ownTask + "mountinfo")
	if err != nil {
		return nil, fmt.Errorf("bridge: find out what is mounted: %w", err)
	}
	all, err := parseMounts(string(text))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), indexMounts(all).hidden), nil
}

// parseMounts reads mountinfo, as proc_pid_mountinfo(5) describes it.
func parseMounts(text string) (mounts []mount, err error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		end := slices.Index(f, "-")
		if end < 6 || len(f) < end+2 {
			return nil, fmt.Errorf("bridge: /proc/self/mountinfo has a line %q", line)
		}
		id, err1 := strconv.Atoi(f[0])
		parent, err2 := strconv.Atoi(f[1])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("bridge: read /proc/self/mountinfo: %w", err)
		}
		mounts = append(mounts, mount{
			id: id, parent: parent, device: f[2], root: unescape(f[3]), point: unescape(f[4]), fsType: f[end+1],
			readOnly: slices.Contains(strings.Split(f[5], ","), "ro"),
		})
	}
	return mounts, nil
}

// unescape undoes the octal spelling of blanks and backslashes in mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// mountIndex finds mounts among thousands: hosts of containers have so many, and the covers
// of sockets are mounts, too.
type mountIndex struct {
	byID map[int]mount
	at   map[mountPlace][]int // ids
}

type mountPlace struct {
	parent int
	point  string
}

func indexMounts(all []mount) mountIndex {
	x := mountIndex{byID: make(map[int]mount, len(all)), at: make(map[mountPlace][]int, len(all))}
	for _, m := range all {
		x.byID[m.id] = m
		place := mountPlace{m.parent, m.point}
		x.at[place] = append(x.at[place], m.id)
	}
	return x
}

// hidden reports whether no path leads to m, because something is mounted over it or over
// a directory above it. What is mounted over the root hides nothing: a process whose
// root is below that does not see it.
func hidden(m mount, all []mount) bool { return indexMounts(all).hidden(m) }

func (x mountIndex) hidden(m mount) bool {
	via := m.id                 // the mount through which the way up came
	for range len(x.byID) + 1 { // it is no longer than that
		covered := func(parent int, point string) bool {
			return point != "/" && slices.ContainsFunc(x.at[mountPlace{parent, point}], func(id int) bool { return id != m.id && id != via })
		}
		if covered(m.id, m.point) {
			return true
		}
		for dir := path.Dir(m.point); dir != "/" && dir != "."; dir = path.Dir(dir) {
			if covered(m.parent, dir) {
				return true
			}
		}
		up, ok := x.byID[m.parent]
		if !ok || up.id == m.id {
			return false
		}
		via, m = m.id, up
	}
	return false
}

// within reports whether the clean path name is dir or below it.
func within(dir, name string) bool {
	return name == dir || below(dir, name)
}

// strayProcs returns the mounts of a procfs besides /proc and what is below that.
func strayProcs(mounts []mount) (stray []mount) {
	for _, m := range mounts {
		if m.fsType == "proc" && !within("/proc", m.point) {
			stray = append(stray, m)
		}
	}
	return stray
}

// ueventHelpers returns the paths that ueventHelper has, if this kernel has it.
func ueventHelpers(mounts []mount) (paths []string) {
	for _, m := range mounts {
		if m.fsType == "sysfs" && within(m.root, ueventHelper) {
			paths = append(paths, path.Join(m.point, strings.TrimPrefix(ueventHelper, strings.TrimSuffix(m.root, "/"))))
		}
	}
	return paths
}

// findHazards looks for what a bind of the host's files must not bring along. What
// this user cannot reach, bwrap could not cover, and the command not use.
func findHazards() (h hazards, err error) {
	mounts, err := readMounts()
	if err != nil {
		return h, err
	}
	for _, m := range mounts {
		if info, err := os.Stat(m.point); m.fsType == "proc" && err == nil && info.IsDir() {
			h.procs = append(h.procs, m.point)
		}
	}
	for _, name := range ueventHelpers(mounts) {
		if _, err := os.Stat(name); err == nil {
			h.helpers = append(h.helpers, name)
		}
	}
	return h, nil
}

// checkMounts refuses to go on where the host's processes and sysctls are in sight,
// wherever in the sandbox, or uid 0 could have the kernel run a program outside.
func checkMounts() error {
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	if first, err := os.Readlink("/proc/self"); err != nil || first != strconv.Itoa(os.Getpid()) {
		return errors.New("bridge: /proc in the sandbox is not its own: refusing to run the command")
	}
	const remedy = "refusing to run the command: cover it (bwrap argument --tmpfs %s, after the bind that brings it in) or bind less"
	for _, m := range strayProcs(mounts) {
		if unreachable(m.point) {
			continue
		}
		return fmt.Errorf("bridge: the host's processes are in sight at %s in the sandbox: "+remedy, m.point, m.point)
	}
	for _, m := range mounts {
		if m.fsType == "proc" && m.point != "/proc" && within("/proc", m.point) && !m.readOnly {
			return fmt.Errorf("bridge: %s is writable in the sandbox: refusing to run the command", m.point)
		}
	}
	for _, name := range ueventHelpers(mounts) {
		if unix.Faccessat(unix.AT_FDCWD, name, unix.W_OK, unix.AT_EACCESS) == nil {
			return fmt.Errorf("bridge: the host's %s is writable in the sandbox: "+remedy, name, path.Dir(name))
		}
	}
	return checkDirectory(mounts)
}

// unreachable reports whether this process, and so the command, cannot get at name. Root
// could change the mode of a directory on the way that is its own.
func unreachable(name string) bool {
	var st unix.Stat_t
	return os.Geteuid() != 0 && errors.Is(unix.Stat(name, &st), unix.EACCES)
}

// checkDirectory makes sure that the working directory is not in a procfs to which
// no path leads, such as the one that the sandbox's own /proc covers.
func checkDirectory(mounts []mount) error {
	fd, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bridge: look at the working directory: %w", err)
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("bridge: look at the working directory: %w", err)
	}
	if fs.Type != unix.PROC_SUPER_MAGIC {
		return nil
	}
	info, err := readProc(fmt.Sprintf("/proc/thread-self/fdinfo/%d", fd))
	if err != nil {
		return fmt.Errorf("bridge: look at the working directory: %w", err)
	}
	for line := range strings.Lines(string(info)) {
		id, ok := strings.CutPrefix(line, "mnt_id:")
		if ok && slices.ContainsFunc(mounts, func(m mount) bool { return strconv.Itoa(m.id) == strings.TrimSpace(id) }) {
			return nil
		}
	}
	return errors.New("bridge: the working directory is in the host's /proc: refusing to run the command: start it elsewhere")
}
