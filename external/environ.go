// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// markVariable carries the random mark by which processes of one child are
// recognised even when they left its session and lost their parent.
const markVariable = "SALLYPORT_PROXY_ID"

// baseVariables are passed on from this process's environment: what programs need
// to find their files and to speak the user's language, and nothing that
// configures networking or carries a credential.
var baseVariables = []string{"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "TZ"}

// windowsVariables are those without which Windows programs do not start.
var windowsVariables = []string{
	"SystemRoot", "SystemDrive", "windir", "ComSpec", "PATHEXT", "TEMP", "TMP",
	"USERPROFILE", "APPDATA", "LOCALAPPDATA", "ProgramData",
}

// host is this process's environment, but for TempDir.
func (s Spec) host() []string {
	if s.TempDir == "" {
		return os.Environ()
	}
	return append(os.Environ(), "TMPDIR="+s.TempDir)
}

// childEnviron builds the child's environment from the host's and the configured
// entries, placeholders in their values filled in; a later entry replaces an earlier
// one of the same name.
func childEnviron(host, configured []string, at place, mark string) []string {
	fill := at.replacer()
	env := make([]string, 0, len(baseVariables)+len(configured)+2)
	for _, entry := range host {
		if name, _, ok := strings.Cut(entry, "="); ok && isBase(name) {
			env = setEntry(env, entry)
		}
	}
	for _, entry := range configured {
		name, value, _ := strings.Cut(entry, "=")
		env = setEntry(env, name+"="+fill.Replace(value))
	}
	if at.socket != "" {
		env = setEntry(env, socketVariable+"="+at.socket)
	} else {
		env = setEntry(env, portVariable+"="+strconv.Itoa(at.port))
	}
	return setEntry(env, markVariable+"="+mark)
}

func isBase(name string) bool {
	if runtime.GOOS == "windows" {
		// Windows compares variable names without case ("Path").
		same := func(v string) bool { return strings.EqualFold(v, name) }
		return slices.ContainsFunc(baseVariables, same) || slices.ContainsFunc(windowsVariables, same)
	}
	return slices.Contains(baseVariables, name) || strings.HasPrefix(name, "LC_")
}

func setEntry(env []string, entry string) []string {
	name, _, _ := strings.Cut(entry, "=")
	env = slices.DeleteFunc(env, func(old string) bool {
		oldName, _, _ := strings.Cut(old, "=")
		return oldName == name || runtime.GOOS == "windows" && strings.EqualFold(oldName, name)
	})
	return append(env, entry)
}
