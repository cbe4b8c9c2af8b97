// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const procUnix = `Num       RefCount Protocol Flags    Type St Inode Path
0000000062597077: 00000003 00000000 00000000 0001 03  1121
0000000058d4b109: 00000002 00000000 00010000 0001 01  1122 /run/a b.sock
0000000058d4b10a: 00000003 00000000 00000000 0001 03 112345678 /run/a b.sock
0000000058d4b10b: 00000002 00000000 00000000 0002 01  1124 /run/dgram  two
0000000058d4b10c: 00000002 00000000 00010000 0001 01  1125 @/abstract
0000000058d4b10d: 00000002 00000000 00010000 0001 01  1126 relative/socket
`

func TestParseUnix(t *testing.T) {
	t.Parallel()
	if got, want := parseUnix(procUnix), []string{"/run/a b.sock", "/run/dgram  two"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamedServices(t *testing.T) {
	t.Parallel()
	env := []string{"SSH_AUTH_SOCK=/tmp/ssh-x/agent.1", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1/bus,guid=0;unix:abstract=/tmp/x",
		"DOCKER_HOST=unix:///var/run/docker.sock", "TMUX=/tmp/tmux-1/default,12,0", "HOME=/home/x", "DISPLAY=:0"}
	want := []string{"/tmp/ssh-x/agent.1", "/run/user/1/bus", "/tmp/x", "/var/run/docker.sock", "/tmp/tmux-1/default"}
	if got := namedServices(env); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// sightOf is a command that prints, for each path, whether a socket is there.
func sightOf(paths ...string) []string {
	return append([]string{"sh", "-c", `for f; do test -S "$f" && echo "$f"; done; exit 0`, "sh"}, paths...)
}

// TestSandboxServices: the host's sockets are out of sight by whatever name, and the host keeps them.
func TestSandboxServices(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		dir, runtime := tempDir(t), tempDir(t)
		t.Setenv("XDG_RUNTIME_DIR", runtime)
		paths := []string{dir + "/stream", dir + "/with blank", dir + "/\xff\xfe", dir + "/deep/er/socket", runtime + "/bus", runtime + "/sub/socket"}
		for _, p := range append([]string{dir + "/datagram"}, paths...) {
			if err := os.MkdirAll(path.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			network := "unix"
			if p == dir+"/datagram" {
				network = "unixgram"
			}
			listenAt(t, network, p)
		}
		paths = append(paths, dir+"/datagram", dir+"/link/socket", dir+"/symlink")
		if err := os.Symlink("deep/er", dir+"/link"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("stream", dir+"/symlink"); err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			weaker []Door
			want   int
		}{{nil, 0}, {[]Door{DoorUnixSockets}, 0}, {[]Door{DoorHostServices}, len(paths)}} {
			argv := sightOf(paths...)
			out, err := newWorld(t).command(t, Sandbox{Mode: m, Weaker: tc.weaker}, argv...).CombinedOutput()
			if got := strings.Count(string(out), "\n"); err != nil || got != tc.want {
				t.Errorf("%q open: %d sockets in sight, want %d: %v: %q", tc.weaker, got, tc.want, err, out)
			}
		}
		if err := os.WriteFile(runtime+"/file", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := newWorld(t).command(t, Sandbox{Mode: m}, "ls", "-A", runtime).CombinedOutput()
		if err != nil || len(out) != 0 {
			t.Errorf("in the runtime directory: %q, %v, want nothing", out, err)
		}
		for _, p := range paths {
			if info, err := os.Stat(p); err != nil || info.Mode()&os.ModeSocket == 0 {
				t.Errorf("on the host: %q: %v, want it untouched", p, err)
			}
		}
	})
}

// TestSandboxServicesElsewhere: a bind of the caller's brings no socket back.
func TestSandboxServicesElsewhere(t *testing.T) {
	if _, err := Probe(t.Context(), Bwrap); err != nil {
		t.Skipf("not tested: %v", err)
	}
	dir := tempDir(t)
	if err := os.Mkdir(dir+"/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/a", "/sub/b", "/keep"} {
		listenAt(t, "unix", dir+name)
	}
	args := []string{"--bind", dir, "/mnt", "--bind", "/", "/opt", "--ro-bind", dir + "/sub/b", dir + "/sub/file", "--tmpfs", "/srv", "--bind", dir + "/sub", "/srv/x"}
	if err := os.WriteFile(dir+"/sub/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	paths := []string{dir + "/a", dir + "/sub/b", "/mnt/a", "/mnt/sub/b", "/opt" + dir + "/a", dir + "/sub/file", "/srv/x/b"}
	s := Sandbox{BwrapArgs: args, HostSockets: []string{dir + "/keep"}}
	runtime := tempDir(t) // in whose place the caller wants something of the sandbox's own
	t.Setenv("XDG_RUNTIME_DIR", runtime)
	s.BwrapArgs = append(s.BwrapArgs, "--tmpfs", runtime)
	if out, err := newWorld(t).command(t, s, "touch", runtime+"/new").CombinedOutput(); err != nil {
		t.Errorf("the caller's own directory: %v: %s", err, out)
	}
	argv := sightOf(append(paths, dir+"/keep", "/mnt/keep")...)
	out, err := newWorld(t).command(t, s, argv...).CombinedOutput()
	if want := dir + "/keep\n/mnt/keep\n"; err != nil || string(out) != want {
		t.Errorf("%v: in sight: %q, want %q", err, out, want)
	}
}

// TestSandboxHostSockets: a socket that is named stays, with the variable that names it, and can
// be connected to; the others of its directory do not.
func TestSandboxHostSockets(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		dir, runtime := tempDir(t), tempDir(t)
		for _, p := range []string{dir + "/agent", dir + "/other", runtime + "/bus", runtime + "/other"} {
			listenAt(t, "unix", p)
		}
		if err := os.Symlink("agent", dir+"/link"); err != nil {
			t.Fatal(err)
		}
		t.Setenv("XDG_RUNTIME_DIR", runtime)
		t.Setenv("SSH_AUTH_SOCK", dir+"/link")
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+runtime+"/bus,guid=1")
		t.Setenv("NOTIFY_SOCKET", dir+"/other")
		s := Sandbox{Mode: m, HostSockets: []string{dir + "/link", runtime + "/bus"}}
		for _, p := range []string{dir + "/agent", dir + "/link", runtime + "/bus"} {
			if out, err := newWorld(t).command(t, s, self, "helper", "dial", "unix", p).CombinedOutput(); err != nil {
				t.Errorf("dial %s, which was named: %v: %s", p, err, out)
			}
		}
		for _, p := range []string{dir + "/other", runtime + "/other"} {
			if out, err := newWorld(t).command(t, s, self, "helper", "dial", "unix", p).CombinedOutput(); err == nil {
				t.Errorf("dial %s, which was not named: %s", p, out)
			}
		}
		out, err := newWorld(t).command(t, s, "sh", "-c", "echo $SSH_AUTH_SOCK $DBUS_SESSION_BUS_ADDRESS $NOTIFY_SOCKET $XDG_RUNTIME_DIR").Output()
		if want := dir + "/link unix:path=" + runtime + "/bus,guid=1\n"; err != nil || string(out) != want {
			t.Errorf("%v: variables %q, want %q", err, out, want)
		}
	})
}

// TestSandboxServicesCrowd: many sockets take one mount where they have a directory for
// themselves, and what is beside the others stays.
func TestSandboxServicesCrowd(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		const n = 200
		dir := tempDir(t)
		for _, sub := range []string{"/alone", "/mixed"} {
			if err := os.Mkdir(dir+sub, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				listenAt(t, "unix", fmt.Sprint(dir, sub, "/", i))
			}
		}
		if err := os.WriteFile(dir+"/mixed/file", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		script := "cd " + dir + "; for f in */*; do test -S $f && echo $f; done; ls alone | wc -l; ls mixed/file; grep -c " + dir + "/alone /proc/self/mountinfo"
		out, err := newWorld(t).command(t, Sandbox{Mode: m}, "sh", "-c", script).CombinedOutput()
		if want := "0\nmixed/file\n1\n"; err != nil || string(out) != want {
			t.Errorf("%v: %q, want %q", err, out, want)
		}
	})
}

// TestFinder: what a program needs is never covered, whatever is in it.
func TestFinder(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	if err := os.MkdirAll(dir+"/home/work", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range crowded {
		listenAt(t, "unix", fmt.Sprint(dir, "/", i))
		listenAt(t, "unix", fmt.Sprint(dir, "/home/", i))
	}
	around, err := lookAround()
	if err != nil {
		t.Fatal(err)
	}
	around.runtime, around.keep, around.env = dir, append(around.keep, dir+"/home/work"), []string{"XDG_RUNTIME_DIR=" + dir}
	sockets := 0
	for _, s := range findServices(around) {
		if s.Dir && within(string(s.Path), dir+"/home/work") {
			t.Errorf("%s would be covered", s.Path)
		}
		if within(dir, string(s.Path)) {
			sockets++
		}
	}
	if sockets != 2*crowded {
		t.Errorf("%d sockets are covered, want each of %d", sockets, 2*crowded)
	}
}

// TestServiceCover: what is not what was found is left alone.
func TestServiceCover(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	listenAt(t, "unix", dir+"/socket")
	for _, s := range []service{{Path: []byte("/x")}, {Path: []byte("/x"), Dir: true}} {
		for _, name := range []string{"/file", "/link", "/absent", "/file/below", ""} {
			if err := s.cover(dir+name, nil); err != nil && !outOfReach(err) {
				t.Errorf("cover %q: %v", name, err)
			}
		}
	}
	if info, err := os.Lstat(dir + "/socket"); err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("what a link leads to was covered: %v, %v", info, err)
	}
	if outOfReach(unix.EPERM) {
		t.Error("that nothing can be mounted is no reason to go on")
	}
}
