// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRolesByHand: a role that somebody starts by hand, with or without a
// command, does nothing but say so.
func TestRolesByHand(t *testing.T) {
	t.Parallel()
	for _, role := range []string{
		roleSupervise, roleInit, roleSetup, roleReaper, roleReaperTTY, roleProbeSetup,
	} {
		out, err := exec.CommandContext(t.Context(), self, role, "echo", "ran").CombinedOutput()
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() != ExitFailed || !strings.HasPrefix(string(out), messagePrefix) {
			t.Errorf("%s by hand: %v: %q, want status %d and a message", role, err, out, ExitFailed)
		}
	}
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	a, b := tempDir(t), tempDir(t)
	for path, mode := range map[string]os.FileMode{a + "/plain": 0o644, b + "/plain": 0o755, a + "/only": 0o644, b + "/tool": 0o755} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(a+"/tool", 0o755); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + a + "::/no/such/directory:" + b
	for _, tc := range []struct {
		name, env, want string
		status          int
	}{
		{"tool", path, b + "/tool", 0},                             // past a directory of that name
		{"plain", path, b + "/plain", 0},                           // past a file that is not executable
		{"only", path, "", ExitCannotRun},                          // there is no other
		{"absent", path, "", ExitNotFound},                         //
		{"tool", "PATH=", "", ExitNotFound},                        //
		{"sh", "PATHOLOGY=" + a, "/bin/sh", 0},                     // no PATH at all
		{b + "/tool", "PATH=", b + "/tool", 0},                     //
		{b + "/absent", path, "", ExitNotFound},                    //
		{b + "/tool/below", path, "", ExitNotFound},                //
		{a + "/plain", path, "", ExitCannotRun},                    //
		{a, path, "", ExitCannotRun},                               //
		{"", path, "", ExitNotFound},                               //
		{strings.Repeat("x", 5000), path, "", ExitNotFound},        // longer than a name can be
		{"/" + strings.Repeat("x", 5000), path, "", ExitCannotRun}, // the kernel's word
	} {
		got, err := lookUp(tc.name, []string{"PATH=/first/one/loses", tc.env})
		if tc.env == "PATHOLOGY="+a {
			got, err = lookUp(tc.name, []string{tc.env})
		}
		status := 0
		if e := (*exitError)(nil); errors.As(err, &e) {
			status = e.status
		}
		if status != tc.status || err == nil && got != tc.want {
			t.Errorf("lookUp(%.40q, %q) = %q, %v; want %q, status %d", tc.name, tc.env, got, err, tc.want, tc.status)
		}
	}
}
