// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	hostMounts = `20 1 8:1 / / rw shared:1 - ext4 /dev/sda rw
21 20 0:21 / /proc rw,nosuid shared:2 - proc proc rw
22 21 0:30 / /proc/sys/fs/binfmt_misc rw - autofs x rw
23 20 0:22 / /sys rw - sysfs sysfs rw
24 20 0:21 / /srv/my\040root/proc rw - proc proc rw
25 20 0:22 /kernel /srv/kernel rw - sysfs sysfs rw
26 20 0:21 /sys /srv/sysctl ro - proc proc rw
`
	covers = `30 21 0:40 / /proc rw - proc proc rw
31 30 0:21 /sys /proc/sys ro,nosuid - proc proc rw
32 24 0:41 / /srv/my\040root/proc ro - tmpfs tmpfs rw
33 26 0:42 / /srv/sysctl rw - tmpfs tmpfs rw
34 33 0:21 / /srv/sysctl/below rw - proc proc rw
35 20 0:43 / /other rw - tmpfs tmpfs rw
36 20 0:21 / /other/proc rw - proc proc rw
37 36 0:44 / /other/proc/x rw - proc proc rw
`
)

func TestMounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text, stray, helpers string
	}{
		{"host", hostMounts, "/srv/my root/proc /srv/sysctl", "/sys/kernel/uevent_helper /srv/kernel/uevent_helper"},
		{"covered", hostMounts + covers, "/srv/sysctl/below", "/sys/kernel/uevent_helper /srv/kernel/uevent_helper"},
		{"over the root", "20 1 8:1 / / rw - ext4 x rw\n21 20 0:21 / /p rw - proc proc rw\n22 20 0:2 / / rw - tmpfs x rw\n", "/p", ""},
		{"helper alone", "23 1 0:22 /kernel/uevent_helper /u rw - sysfs x rw\n24 1 0:22 /fs /f rw - sysfs x rw\n", "", "/u"},
	} {
		all, err := parseMounts(tc.text)
		if err != nil {
			t.Errorf("%s: parseMounts: %v", tc.name, err)
		}
		seen := slices.DeleteFunc(slices.Clone(all), func(m mount) bool { return hidden(m, all) })
		var stray []string
		for _, m := range strayProcs(seen) {
			stray = append(stray, m.point)
		}
		if got := strings.Join(stray, " "); got != tc.stray {
			t.Errorf("%s: procfs in sight at %q, want %q", tc.name, got, tc.stray)
		}
		if got := strings.Join(ueventHelpers(seen), " "); got != tc.helpers {
			t.Errorf("%s: uevent helpers %q, want %q", tc.name, got, tc.helpers)
		}
	}
	for _, text := range []string{"1 2 3 / /\n", "x 1 8:1 / / rw - ext4 x rw\n", "1 1 8:1 / / rw ext4 x rw\n"} {
		if got, err := parseMounts(text); err == nil {
			t.Errorf("parseMounts(%q) = %v, want an error", text, got)
		}
	}
}

// inStrangeRoot runs argv in a sandbox on a host that has a second procfs at dir,
// like a chroot's.
func inStrangeRoot(m Mode, dir string, argv []string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", dir, "proc", 0, ""); err != nil {
		return err
	}
	return parent(m, argv)
}

func TestSandboxStrayProc(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not tested: only root can mount a second procfs")
	}
	forEachMode(t, func(t *testing.T, m Mode) {
		dir := tempDir(t)
		script := "ls -A " + dir + " | wc -l; ls -d " + dir + "/self; test -w " + dir + "/sys/kernel/core_pattern && echo writable"
		cmd := exec.CommandContext(t.Context(), self, "helper", "strange-root", string(m), dir, "sh", "-c", "("+script+") 2>/dev/null; exit 0")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		cmd.Dir = "/"
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Errorf("with a second procfs: %v: %q, want an empty directory", err, out)
		}
	})
}

// TestSandboxDirectoryInProc: a working directory is no way into the host's /proc.
func TestSandboxDirectoryInProc(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		cmd := newWorld(t).command(t, Sandbox{Mode: m}, "sh", "-c", "cat 1/comm; test -w sys/kernel/core_pattern && echo writable")
		cmd.Dir = "/proc"
		if out, _ := cmd.Output(); strings.Contains(string(out), "writable") || len(out) == 0 {
			t.Errorf("in /proc: %q, want this sandbox's process 1, and nothing writable", out)
		}
		init, err := os.ReadFile("/proc/1/comm")
		if err != nil {
			t.Fatal(err)
		}
		cmd = newWorld(t).command(t, Sandbox{Mode: m}, "cat", "comm")
		cmd.Dir = "/proc/1"
		if out, _ := cmd.Output(); string(out) == string(init) {
			t.Errorf("in /proc/1 the command reads the host's %q", out)
		}
	})
}

func TestSandboxBwrapArgsProc(t *testing.T) {
	t.Parallel()
	if _, err := Probe(t.Context(), Bwrap); err != nil {
		t.Skipf("not tested: %v", err)
	}
	dir := tempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"proc": "/proc", "sys": "/proc/sys", "root": "/"} {
		if err := os.Symlink(to, dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	const refused = "refusing to run the command"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--bind", "/", "/mnt"}, "0\n"},
		{[]string{"--ro-bind", "/", "/mnt"}, "0\n"},
		{[]string{"--bind", dir + "/root", "/mnt"}, "0\n"},
		{[]string{"--dev-bind", "/", "/mnt", "--tmpfs", "/mnt"}, "0\n"},
		{[]string{"--bind", dir + "/proc", "/mnt"}, refused},
		{[]string{"--ro-bind", dir + "/proc", "/mnt"}, refused},
		{[]string{"--bind", dir + "/sys", "/mnt"}, refused},
		{[]string{"--bind", dir + "/proc", "/mnt", "--tmpfs", "/mnt"}, "0\n"},
	} {
		cmd := newWorld(t).command(t, Sandbox{BwrapArgs: tc.args}, "sh", "-c", "for d in proc self kernel; do ls -A /mnt/$d; done 2>/dev/null | wc -l")
		if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), tc.want) {
			t.Errorf("%q: %q, want %q", tc.args, out, tc.want)
		}
	}
}

func TestHazardsCover(t *testing.T) {
	t.Parallel()
	h := hazards{
		procs:   []string{"/proc", "/srv/root/proc", "/srv/root/proc/x"},
		helpers: []string{"/sys/kernel/uevent_helper"},
	}
	for _, tc := range []struct{ source, dest, want string }{
		{"/", "/", "--tmpfs /srv/root/proc --remount-ro /srv/root/proc --ro-bind-try /sys/kernel/uevent_helper /sys/kernel/uevent_helper"},
		{"/", "mnt/", "--tmpfs /mnt/proc --remount-ro /mnt/proc --tmpfs /mnt/srv/root/proc --remount-ro /mnt/srv/root/proc" +
			" --ro-bind-try /sys/kernel/uevent_helper /mnt/sys/kernel/uevent_helper"},
		{"/srv/root", "/", ""},
		{"/srv", "/srv", "--tmpfs /srv/root/proc --remount-ro /srv/root/proc"},
		{"/srv/roo", "/srv", ""},
		{"/proc", "/p", ""},
		{"/sys/kernel/uevent_helper", "/u", "--ro-bind-try /sys/kernel/uevent_helper /u"},
	} {
		if got := strings.Join(h.cover(tc.source, tc.dest), " "); got != tc.want {
			t.Errorf("cover(%q, %q) =\n%s, want\n%s", tc.source, tc.dest, got, tc.want)
		}
	}
}
