// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// findHidden looks at the paths of Sandbox.Hide.
func findHidden(paths []string) ([]cover, error) {
	var all []cover
	for _, name := range paths {
		if !filepath.IsAbs(name) {
			return nil, fmt.Errorf("bridge: %q is to be hidden from the sandbox and is no absolute path", name)
		}
		path, err := realPath(name)
		if err != nil {
			return nil, fmt.Errorf("bridge: %s cannot be hidden from the sandbox: %w; it must be there before the sandbox is made", name, withoutPath(err))
		}
		info, err := os.Lstat(path)
		if err != nil {
			return nil, fmt.Errorf("bridge: %s cannot be hidden from the sandbox: %w", name, withoutPath(err))
		}
		if within("/proc", path) || path == "/" {
			return nil, fmt.Errorf("bridge: %s cannot be hidden from the sandbox: nothing could run in it", path)
		}
		all = append(all, cover{path, info.IsDir()})
	}
	return all, nil
}

// withoutPath takes the operation and the path out of an error whose text names the file.
func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
