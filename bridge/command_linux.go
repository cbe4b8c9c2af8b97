// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultPath is where execvp(3) looks when PATH is not set.
const defaultPath = "/bin:/usr/bin"

// lookUp finds the program that name means to a shell with the environment env
// in this process's working directory and file system. Unlike exec.LookPath it follows a
// relative PATH entry, because the caller's own shell would.
func lookUp(name string, env []string) (string, error) {
	if name == "" {
		return "", &exitError{ExitNotFound, "the command's name is empty"}
	}
	if strings.Contains(name, "/") {
		return name, runnable(name, name)
	}
	path := defaultPath
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v // the last one counts, as in exec.Cmd
		}
	}
	notFound := error(&exitError{ExitNotFound, name + ": command not found"})
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		file := dir + "/" + name
		err := runnable(file, name)
		if err == nil {
			return file, nil
		}
		if isFile(file) {
			notFound = err // what is found later is still preferred
		}
	}
	return "", notFound
}

// runnable returns nil if file can be executed, or else an *exitError.
func runnable(file, name string) error {
	var st unix.Stat_t
	err := unix.Stat(file, &st)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		return &exitError{ExitNotFound, name + ": no such file or directory"}
	case err != nil:
		return cannotRun(name, err)
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return cannotRun(name, unix.EISDIR)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS); err != nil {
		return cannotRun(name, err)
	}
	return nil
}

func isFile(file string) bool {
	var st unix.Stat_t
	return unix.Stat(file, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

func cannotRun(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("its interpreter or loader does not exist")
	}
	return &exitError{ExitCannotRun, fmt.Sprintf("%s: cannot be run: %v", name, err)}
}
