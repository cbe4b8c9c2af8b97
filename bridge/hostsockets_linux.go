// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// service is a socket of the host, or a directory of them, that a sandbox must not see.
// Paths are bytes, as they need not be UTF-8.
type service struct {
	Path []byte // on the host, without symbolic links
	// Device and Inside say which file it is whatever is mounted where: of which file
	// system, as mountinfo names it, and the path in that.
	Device string
	Inside []byte
	// Dir says that it is a directory, and StDev and Ino which.
	Dir        bool   `json:",omitempty"`
	StDev, Ino uint64 `json:",omitempty"`
}

const (
	// crowded is how many sockets a directory of nothing else has to have to be covered as a whole.
	crowded = 8
	// scanDepth and scanBudget bound the search of /run for sockets of other network namespaces.
	scanDepth, scanBudget = 3, 4096
)

// surroundings are what a search for services starts from.
type surroundings struct {
	home, runtime string   // directories, or ""
	env           []string // in which services may be named
	keep          []string // directories that are never covered, nor any above them
	live          []string // sockets that something is bound to
	mounts        []mount
}

// lookAround describes this process's surroundings.
func lookAround() (s surroundings, err error) {
	s.env = os.Environ()
	s.home, s.runtime = os.Getenv("HOME"), os.Getenv("XDG_RUNTIME_DIR")
	s.keep = []string{s.home, os.TempDir(), "/dev/shm", "/var/run", "/var/lib", "/usr/bin", "/etc"}
	if wd, err := os.Getwd(); err == nil {
		s.keep = append(s.keep, wd)
	}
	for i, dir := range s.keep {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			s.keep[i] = real
		}
	}
	s.keep = append(s.keep, "/tmp", "/run", "/home", "/root")
	if s.mounts, err = readMounts(); err != nil {
		return s, err
	}
	text, err := readProc("/proc/self/net/unix")
	if err != nil {
		return s, fmt.Errorf("bridge: find out which sockets this host has: %w", err)
	}
	s.live = parseUnix(string(text))
	return s, nil
}

// parseUnix returns the paths of the sockets in a /proc/net/unix, each once: all connections to
// a socket are there under its name. A relative path does not say where it is.
func parseUnix(text string) (paths []string) {
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		rest := strings.TrimSuffix(line, "\n")
		for range 7 { // Num RefCount Protocol Flags Type St Inode
			rest = strings.TrimLeft(rest, " ")
			_, rest, _ = strings.Cut(rest, " ")
		}
		if strings.HasPrefix(rest, "/") && !seen[rest] {
			seen[rest] = true
			paths = append(paths, rest)
		}
	}
	return paths
}

// finder gathers services, each once.
type finder struct {
	surroundings
	found map[string]service
	dirs  map[string]string        // real paths
	lists map[string][]os.DirEntry // what is in directories
}

// findServices returns what there is, directories first.
func findServices(s surroundings) []service {
	f := finder{surroundings: s, found: map[string]service{}, dirs: map[string]string{}, lists: map[string][]os.DirEntry{}}
	for _, pattern := range knownServices(s.home) {
		for _, name := range f.glob(pattern) {
			f.add(name, true)
		}
	}
	for _, name := range namedServices(s.env) {
		f.add(name, false)
	}
	budget := scanBudget
	f.scan("/run", scanDepth, &budget)
	if s.runtime != "" && !f.add(s.runtime, true) {
		f.scan(s.runtime, scanDepth, &budget)
	}
	for _, name := range s.live {
		f.add(name, false)
	}
	f.gather()
	all := make([]service, 0, len(f.found))
	for _, found := range f.found {
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b service) int {
		if a.Dir != b.Dir {
			if a.Dir {
				return -1
			}
			return 1
		}
		return slices.Compare(a.Path, b.Path)
	})
	return all
}

// namedServices returns the paths in the values of hostVariables.
func namedServices(env []string) (paths []string) {
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if !isHostVariable(name) {
			continue
		}
		for _, part := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",;=", r) }) {
			if i := strings.Index(part, "/"); i >= 0 {
				paths = append(paths, path.Clean(part[i:]))
			}
		}
	}
	return paths
}

// add takes name, if it is a socket, or a directory that may be covered and dirs says so.
// It reports whether it did.
func (f *finder) add(name string, dirs bool) bool {
	real, err := f.real(name)
	if err != nil {
		return false
	}
	if _, ok := f.found[real]; ok {
		return true
	}
	var st unix.Stat_t
	if err := unix.Lstat(real, &st); err != nil {
		return false
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFSOCK && (kind != unix.S_IFDIR || !dirs || !f.coverable(real)) {
		return false
	}
	s, ok := f.locate(real)
	if !ok {
		return false
	}
	if s.Dir = kind == unix.S_IFDIR; s.Dir {
		s.StDev, s.Ino = uint64(st.Dev), st.Ino
	}
	f.found[real] = s
	return true
}

// real returns the path of name without symbolic links. What it found out about a directory it keeps, for
// there may be thousands of sockets in it.
func (f *finder) real(name string) (string, error) {
	dir, base := filepath.Split(filepath.Clean(name))
	to, ok := f.dirs[dir]
	if !ok {
		var err error
		if to, err = filepath.EvalSymlinks(dir); err != nil {
			return "", err
		}
		f.dirs[dir] = to
	}
	name = path.Join(to, base)
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return name, err
	}
	return filepath.EvalSymlinks(name)
}

// coverable reports whether a sandbox can do without dir.
func (f *finder) coverable(dir string) bool {
	return dir != "/" && !slices.ContainsFunc(f.keep, func(k string) bool { return k != "" && within(dir, k) })
}

// locate says of which file system the file with the real path name is.
func (f *finder) locate(name string) (s service, ok bool) {
	point := ""
	for _, m := range f.mounts {
		if within(m.point, name) && len(m.point) >= len(point) {
			point, ok = m.point, true
			s.Device, s.Inside = m.device, []byte(path.Join(m.root, strings.TrimPrefix(name, strings.TrimSuffix(m.point, "/"))))
		}
	}
	s.Path = []byte(name)
	return s, ok
}

// scan adds the sockets in dir and below it, to some depth and as far as *budget goes.
func (f *finder) scan(dir string, depth int, budget *int) {
	for _, e := range f.list(dir) {
		if *budget--; *budget < 0 {
			return
		}
		name := path.Join(dir, e.Name())
		switch {
		case e.Type()&os.ModeSocket != 0:
			f.add(name, false)
		case e.IsDir() && depth > 1 && f.found[name].Path == nil:
			f.scan(name, depth-1, budget)
		}
	}
}

// list returns what is in dir, in no order, or nothing if it is closed to this user, and so to the command.
// It looks once: several patterns are about one directory, which may be /tmp with thousands of files.
func (f *finder) list(dir string) []os.DirEntry {
	entries, known := f.lists[dir]
	if known {
		return entries
	}
	if d, err := os.Open(dir); err == nil {
		entries, _ = d.ReadDir(-1) // as far as it goes
		d.Close()
	}
	f.lists[dir] = entries
	return entries
}

// glob returns the paths that there may be for pattern, whose last elements package path matches.
func (f *finder) glob(pattern string) (names []string) {
	dir, last := path.Split(pattern)
	dir = path.Clean(dir)
	if !strings.ContainsAny(pattern, `*?[\`) {
		return []string{pattern}
	}
	for _, dir := range f.glob(dir) {
		if !strings.ContainsAny(last, `*?[\`) {
			names = append(names, path.Join(dir, last))
			continue
		}
		for _, e := range f.list(dir) {
			if ok, err := path.Match(last, e.Name()); ok && err == nil {
				names = append(names, path.Join(dir, e.Name()))
			}
		}
	}
	return names
}

// gather puts directories in the place of many sockets that have them for themselves: it
// takes time to cover each.
func (f *finder) gather() {
	in := map[string]int{}
	for name, s := range f.found {
		if !s.Dir {
			in[path.Dir(name)]++
		}
	}
	for dir, n := range in {
		if n < crowded || !onlySockets(dir) || !f.add(dir, true) {
			continue
		}
		for name, s := range f.found {
			if !s.Dir && path.Dir(name) == dir {
				delete(f.found, name)
			}
		}
	}
}

func onlySockets(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Type()&os.ModeSocket == 0 })
}
