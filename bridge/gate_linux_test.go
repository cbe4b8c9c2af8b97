// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGateRefuses: the host attaches nothing but one foreign TCP listener on 127.0.0.1.
func TestGateRefuses(t *testing.T) {
	t.Parallel()
	listener := func(t *testing.T, domain int, sa unix.Sockaddr, listen bool) int {
		fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if sa != nil { // an empty Unix address is one of the kernel's choice
			err = unix.Bind(fd, sa)
		}
		if listen {
			err = errors.Join(err, unix.Listen(fd, 1))
		}
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	for _, tc := range []struct {
		name, want string
		open       func(t *testing.T) []int
	}{
		{"nothing", "passed 0 descriptors", func(t *testing.T) []int { return nil }},
		{"two", "passed 2 descriptors", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, local, true), listener(t, unix.AF_INET, local, true)}
		}},
		{"host's listener", "host's own network namespace", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, local, true)}
		}},
		{"other address", "does not listen on 127.0.0.1", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, &unix.SockaddrInet4{}, true)}
		}},
		{"not listening", "not a listening TCP socket", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, local, false)}
		}},
		{"Unix socket", "not a listening TCP socket", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_UNIX, &unix.SockaddrUnix{}, true)}
		}},
		{"file", "not a listening TCP socket", func(t *testing.T) []int {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return []int{fd}
		}},
	} {
		g := &gate{h: newWorld(t).Handle}
		if _, err := g.attach(tc.open(t)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: attach: %v, want an error with %q", tc.name, err, tc.want)
		}
	}
}

// TestRolesByHand: a role that somebody starts by hand, with or without a
// command, does nothing but say so.
func TestRolesByHand(t *testing.T) {
	t.Parallel()
	for _, role := range []string{
		roleSuperviseBwrap, roleSuperviseOwn, roleInit, roleSetup, roleReaper, roleReaperTTY, roleProbeSetup,
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
