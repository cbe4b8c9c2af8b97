// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// directory is the working directory that the command is to have. bwrap goes to the
// home directory, or to /, when it cannot go there, and a command that removes or
// overwrites what is in its directory would do so to the wrong files.
type directory struct {
	Path     []byte // bytes, as it need not be UTF-8; for messages only if Problem is set
	Dev, Ino uint64
	Problem  string // not "": no path leads there
}

// startDirectory looks at this process's working directory. That there is none that a
// path leads to is not an error yet: the command may be meant to run elsewhere.
func startDirectory() directory {
	var st unix.Stat_t
	path, err := unix.Getwd()
	if err == nil && !strings.HasPrefix(path, "/") { // "(unreachable)", see getcwd(2)
		err = unix.ENOENT
	}
	if err == nil {
		err = unix.Stat(".", &st)
	}
	if err == nil || errors.Is(err, unix.EACCES) && path != "" { // which who comes to enter it will see
		return directory{Path: []byte(path), Dev: uint64(st.Dev), Ino: st.Ino}
	}
	name, gone := strings.CutSuffix(linkOr("/proc/self/cwd", "it"), " (deleted)")
	problem := fmt.Sprintf("cannot be found (%v)", err)
	switch {
	case gone:
		problem = "was removed"
	case errors.Is(err, fs.ErrNotExist):
		problem = "cannot be reached by any path"
	case errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.ERANGE):
		problem = "has too long a path"
	}
	return directory{Path: []byte(name), Problem: problem}
}

// linkOr returns where a symbolic link leads, or something else.
func linkOr(name, otherwise string) string {
	if to, err := os.Readlink(name); err == nil {
		return to
	}
	return otherwise
}

// enter makes d the working directory again, as the command could, in the sandbox's
// file system. Unless that has been changed by the caller's arguments (changed), it must
// still be the same directory; /proc never is, as the sandbox has its own.
func (d directory) enter(changed bool) error {
	const remedy = "start from a directory that exists in the sandbox and that you may enter, " +
		"or name one (bwrap arguments --chdir DIR)"
	if d.Problem != "" {
		return fmt.Errorf("bridge: the working directory %s %s: refusing to run the command elsewhere: %s", d.Path, d.Problem, remedy)
	}
	path := string(d.Path)
	var st unix.Stat_t
	err := unix.Chdir(path)
	if err == nil {
		err = unix.Stat(".", &st)
	}
	if err != nil {
		return fmt.Errorf("bridge: the working directory %s cannot be entered in the sandbox (%w): refusing to run the command elsewhere: %s",
			path, err, remedy)
	}
	if same := uint64(st.Dev) == d.Dev && st.Ino == d.Ino; !same && !changed && !within("/proc", path) {
		return fmt.Errorf("bridge: the working directory %s has been covered by another one: refusing to run the command elsewhere: %s",
			path, remedy)
	}
	return nil
}
