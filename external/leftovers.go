// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// removeLeftovers removes what the program would have removed by itself.
func (s Spec) removeLeftovers(at place) error {
	var failures error
	for _, name := range s.leftovers {
		if err := os.Remove(at.replacer().Replace(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = errors.Join(failures, fmt.Errorf("external: a file that %s made is left: %w; remove it by hand", s.name(), err))
		}
	}
	return failures
}

// sharedMemory are the segments of a Squid without workers; shm_overview(7).
func sharedMemory(service string) []string {
	var files []string
	for _, part := range []string{"metadata", "queues", "readers"} {
		files = append(files, "/dev/shm/"+service+"-cf__"+part+".shm")
	}
	return files
}
