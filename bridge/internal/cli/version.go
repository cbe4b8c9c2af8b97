// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"
)

// version is the subcommand version.
type version struct{ set *pflag.FlagSet }

func newVersion() flagged { return &version{newFlagSet("version")} }

func (v *version) flagSet() *pflag.FlagSet { return v.set }

// run prints one line.
func (v *version) run(s Streams, args []string) int {
	if len(args) > 0 {
		complain(s.Stderr, fmt.Errorf("version takes no arguments, got %q", args[0]))
		return exitUsage
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return print(s, s.Stdout, versionLine(info))
}

// versionLine says which version this is, from what the Go tool recorded: the
// module's version, the commit where it is known, the toolchain, the system.
func versionLine(info *debug.BuildInfo) string {
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	line := "sallyport " + v
	settings := make(map[string]string, len(info.Settings))
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if rev := settings["vcs.revision"]; rev != "" {
		line += " " + rev[:min(len(rev), 12)]
		if settings["vcs.modified"] == "true" {
			line += "+modified"
		}
	}
	return fmt.Sprintf("%s %s %s/%s\n", line, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
