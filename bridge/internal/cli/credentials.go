// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
)

// envPrefix marks credentials that are in a variable of the host's environment.
const envPrefix = "env:"

// maxCredentials bounds what is read of a file: RFC 1929 allows 255 bytes each.
const maxCredentials = 4 << 10

// credentials are a user and a password. They have no text form.
type credentials struct{ user, password string }

// Format implements fmt.Formatter, and shows nothing.
func (c credentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(credentials)") }

// readCredentials reads user:password from where the setting says, a file or a variable.
// No error shows anything of what was read.
func readCredentials(from setting) (credentials, error) {
	var text string
	if name, ok := strings.CutPrefix(from.value, envPrefix); ok {
		value, found := os.LookupEnv(name)
		if !found || value == "" {
			return credentials{}, fmt.Errorf("%s: the variable %s is not set, or empty; put user:password into it", from.source, name)
		}
		text = value
	} else {
		data, err := readPrivate(from.value)
		if err != nil {
			return credentials{}, fmt.Errorf("%s: %s: %w", from.source, from.value, err)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(data, "\n"), "\r")
	}
	user, password, ok := strings.Cut(text, ":")
	switch {
	case !ok || user == "":
		return credentials{}, fmt.Errorf("%s: the credentials are not of the form user:password", from.source)
	case strings.ContainsFunc(text, unicode.IsControl):
		return credentials{}, fmt.Errorf("%s: the credentials hold a line break or another control character; write user:password on one line", from.source)
	}
	return credentials{user, password}, nil
}

// readPrivate returns the content of a file that nobody but its owner may read.
func readPrivate(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("cannot be opened: %w (a variable is written env:NAME)", withoutPath(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot be looked at: %w", withoutPath(err))
	}
	// Windows has no such bits: what is shown there says nothing about who may read.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("its mode is %04o, so others on this host may read the password; make it private with chmod 600", mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxCredentials+1))
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	if len(data) > maxCredentials {
		return "", fmt.Errorf("is larger than %d bytes, which no credentials are", maxCredentials)
	}
	return string(data), nil
}

// withoutPath takes the operation and the path out of an error that names the file anyway.
func withoutPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// hiddenFile is the real path of a regular file that must not be in sight of a sandbox, or
// "" for what is no such file: a variable, a pipe.
func hiddenFile(name string) string {
	if strings.HasPrefix(name, envPrefix) {
		return ""
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return ""
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return ""
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// socketCover is what to hide so that the socket at path is out of sight: its directory, where that holds nothing but
// sockets, since one that the proxy makes anew would be in sight otherwise, and else the socket alone.
func socketCover(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	dir := filepath.Dir(real)
	entries, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Type() != os.ModeSocket }) {
		return path
	}
	here, _ := os.Getwd()
	for _, needed := range []string{here, os.TempDir()} { // nothing could be run, or kept, in there
		needed, err := filepath.EvalSymlinks(needed)
		if rel, relErr := filepath.Rel(dir, needed); err == nil && relErr == nil && filepath.IsLocal(rel) {
			return path
		}
	}
	return dir
}
