// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// from has p start in a directory that the shell script makes and enters.
func (p *proc) from(script string) *proc {
	p.cmd.Args = append([]string{"sh", "-c", script + ` && exec "$0" "$@"`, p.cmd.Path}, p.cmd.Args[1:]...)
	p.cmd.Path = "/bin/sh"
	p.cmd.Dir = p.t.TempDir()
	return p
}

// TestRunKeepsTheDirectory: the command runs where sallyport was started, or not at
// all; it must not come to work on the files of another directory.
func TestRunKeepsTheDirectory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		bwrapArgs    []string // not nil: only with bwrap
		status       int
		stderr       string // parts of it, separated by |
	}{
		{"kept", "mkdir 'g ü' && cd 'g ü'", nil, 0, ""},
		{"removed", "mkdir g && cd g && rmdir ../g", nil, 125, "/g was removed|start from a directory that exists"},
		{"closed", "mkdir g && cd g && chmod 0 .", nil, 125, "/g cannot be entered|permission denied|start from a directory"},
		{"covered", "mkdir g && cd g", []string{"--tmpfs", "DIR"}, 125, "/g cannot be entered|no such file or directory|--chdir"},
		{"covered and made anew", "mkdir g && cd g", []string{"--tmpfs", "DIR", "--dir", "DIR/g"}, 0, ""},
		{"covered, another asked for", "mkdir g && cd g", []string{"--tmpfs", "DIR", "--chdir", "/"}, 0, ""},
		{"removed, another asked for", "mkdir g && cd g && rmdir ../g", []string{"--chdir", "/"}, 0, ""},
		{"asked for one that is not there", "mkdir g && cd g", []string{"--chdir", "/not/there"}, 125, "/not/there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, mode string) {
				if mode == "none" || tt.bwrapArgs != nil && mode != "bwrap" {
					return
				}
				args := []string{"run", "--allow", "a.com", "--sandbox", mode}
				p := newProc(t).from(tt.script)
				for _, a := range tt.bwrapArgs {
					args = append(args, "--bwrap-arg", strings.ReplaceAll(a, "DIR", p.cmd.Dir))
				}
				p.cmd.Args = append(p.cmd.Args, append(args, "--", "pwd")...)
				out := p.start().finish(tt.status)
				want := p.cmd.Dir + "/g\n"
				switch {
				case tt.status != 0:
					want = ""
				case tt.name == "kept":
					want = p.cmd.Dir + "/g ü\n"
				case slices.Contains(tt.bwrapArgs, "--chdir"):
					want = "/\n"
				}
				if out != want {
					t.Errorf("got directory %q, want %q", out, want)
				}
				for part := range strings.SplitSeq(tt.stderr, "|") {
					if !strings.Contains(p.stderr.String(), part) {
						t.Errorf("got stderr %q, want %q in it", p.stderr, part)
					}
				}
				_ = os.Chmod(p.cmd.Dir+"/g", 0o700) // so that it can be removed
			})
		})
	}
}
