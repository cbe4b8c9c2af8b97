// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"slices"
	"strings"
	"testing"
)

func TestBwrapArgs(t *testing.T) {
	t.Parallel()
	const (
		proc = " --proc /proc --ro-bind-try /proc/sys /proc/sys --ro-bind-try /proc/sysrq-trigger /proc/sysrq-trigger" +
			" --ro-bind-try /proc/irq /proc/irq --ro-bind-try /proc/bus /proc/bus" +
			" --unshare-pid --as-pid-1 --unshare-ipc --cap-drop ALL --cap-add CAP_SETPCAP --cap-add CAP_SYS_ADMIN"
		end  = " --die-with-parent --new-session --unshare-net -- init cmd"
		base = "--unshare-net --dev-bind / /"
	)
	for _, tc := range []struct {
		name    string
		user    string
		network bool
		want    string
	}{
		{"none", "", false, base + proc + end},
		{"network", "", true, base + proc + " --cap-add CAP_NET_ADMIN --cap-add CAP_NET_BIND_SERVICE" + end},
		{"mount", "--ro-bind /usr /usr --tmpfs /tmp", false, base + " --ro-bind /usr /usr --tmpfs /tmp" + proc + end},
		{"root", "--ro-bind / /", false, "--unshare-net --ro-bind / / --dev /dev" + proc + end},
		{"root, odd spelling", "--tmpfs //.", false, "--unshare-net --tmpfs //. --dev /dev" + proc + end},
		{"root and dev", "--ro-bind / / --dev-bind /dev /dev", false, "--unshare-net --ro-bind / / --dev-bind /dev /dev" + proc + end},
		{"values like options", "--setenv --share-net --", false, base + " --setenv --share-net --" + proc + end},
		{"all kinds", "--perms 0700 --dir /a --symlink a /b --chmod 0500 /a --remount-ro /a --size 9 --tmpfs /c --chdir /a --unsetenv X --clearenv",
			false, base + " --perms 0700 --dir /a --symlink a /b --chmod 0500 /a --remount-ro /a --size 9 --tmpfs /c --chdir /a --unsetenv X --clearenv" + proc + end},
	} {
		user := strings.Fields(tc.user)
		kept := slices.Clone(user)
		got, err := bwrapArgs(user, hazards{}, tc.network, "init", "cmd")
		if want := strings.Fields(tc.want); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: bwrapArgs(%q) =\n%q, %v, want\n%q", tc.name, user, got, err, want)
		}
		if !slices.Equal(user, kept) {
			t.Errorf("%s: bwrapArgs changed its argument to %q", tc.name, user)
		}
	}
}

func TestBwrapArgsRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--share-net"}, `"--share-net" is not allowed`},
		{[]string{"--tmpfs", "/tmp", "--share-net"}, `"--share-net" is not allowed`},
		{[]string{"--cap-add", "ALL"}, `"--cap-add" is not allowed`},
		{[]string{"--"}, `"--" is not allowed`},
		{[]string{"--args", "3"}, `"--args" is not allowed`},
		{[]string{"--seccomp", "3"}, `"--seccomp" is not allowed`},
		{[]string{"--bind-data", "3", "/x"}, `"--bind-data" is not allowed`},
		{[]string{"--proc", "/p"}, `"--proc" is not allowed`},
		{[]string{"--unshare-user"}, `"--unshare-user" is not allowed`},
		{[]string{"--userns", "3"}, `"--userns" is not allowed`},
		{[]string{"--hostname", "x"}, `"--hostname" is not allowed`},
		{[]string{"--bind=/a"}, `"--bind=/a" is not allowed`},
		{[]string{"sh"}, `"sh" is not allowed`},
		{[]string{""}, `"" is not allowed`},
		{[]string{"--bind", "/a"}, "--bind takes 2 arguments and has 1"},
		{[]string{"--tmpfs"}, "--tmpfs takes 1 arguments and has 0"},
		{[]string{"--tmpfs", "/a\x00b"}, "NUL"},
		{[]string{"--bind", "/proc", "/hostproc"}, "never the host's"},
		{[]string{"--ro-bind", "/x/../proc/1", "/p"}, "never the host's"},
		{[]string{"--tmpfs", "/proc"}, "its own /proc"},
		{[]string{"--bind", "/tmp", "/proc/sys/kernel"}, "its own /proc"},
	} {
		if got, err := bwrapArgs(tc.args, hazards{}, false, "init"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("bwrapArgs(%q) = %q, %v, want an error with %q", tc.args, got, err, tc.want)
		}
	}
}
