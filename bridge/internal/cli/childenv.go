// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// environ is base, this process's environment, as the command may have it: without the variable that
// holds credentials and without the host's own proxy variables, whose URLs may hold some. It
// is what every process between this one and the command starts with, so that none of
// them has the secrets in its memory: each begins anew with an exec, which leaves nothing of
// what this process has read, and a core of the command has nothing to show.
func (b *backend) environ(base []string) []string {
	kept := make([]string, 0, len(base))
	for _, entry := range base {
		if name, _, _ := strings.Cut(entry, "="); b.secret == "" || name != b.secret {
			kept = append(kept, entry)
		}
	}
	return proxycore.Environ(kept, proxycore.Bouquet{})
}

// hasJava reports whether programs for the Java runtime may be run here. They read no PEM
// files, and a store for them takes a moment to make.
func hasJava() bool {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if _, err := exec.LookPath(filepath.Join(home, "bin", "java")); err == nil {
			return true
		}
	}
	_, err := exec.LookPath("java")
	return err == nil
}

// bwrapArgs adds to the user's arguments what keeps the certificates in sight: a --tmpfs on /tmp
// would cover them. Without arguments everything is in sight.
func (b *backend) bwrapArgs(user []string) []string {
	if len(user) == 0 || b.dir == "" {
		return user
	}
	return append(slices.Clone(user), "--ro-bind", b.dir, b.dir)
}
