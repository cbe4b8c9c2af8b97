// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// contained prepares sallyport attach as the first process of a container without a network.
func contained(t *testing.T, args ...string) *proc {
	t.Helper()
	p := newProc(t, append([]string{"attach"}, args...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE, unix.CAP_SETPCAP},
	}
	return p
}

// TestControlSockets: two containers with different policies at one proxy, and the proxy's own
// policy for a third; policies are read anew; the end takes the sockets along.
func TestControlSockets(t *testing.T) {
	t.Parallel()
	target := origin(t)
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "allow: ['"+target+"']\n")
	write("b.yaml", "allow: [elsewhere.example]\n")
	p, r := startProxy(t, "--listen", "none", "--log", log, "--control", path("a.sock")+"="+path("a.yaml"),
		"--control", path("b.sock")+"="+path("b.yaml"), "--control", path("own.sock"))
	if want := []string{path("a.sock"), path("b.sock"), path("own.sock")}; !slices.Equal(r.Control, want) {
		t.Errorf("ready says %q, want %q", r.Control, want)
	}
	ask := func(socket, want string) {
		t.Helper()
		c := contained(t, append([]string{"--socket", path(socket), "--"}, self(t, "connect", target)...)...).start()
		if got := c.finish(0); got != want {
			t.Errorf("at %s: got %q, want %q", socket, got, want)
		}
	}
	ask("a.sock", "200\nhello\n")
	ask("b.sock", "403\n")
	ask("own.sock", "403\n")
	write("b.yaml", "allow: ['"+target+"']\n")
	write("a.yaml", "alow: []\n")
	p.signal(syscall.SIGHUP)
	p.says("was not reloaded")
	ask("b.sock", "403\n") // all or none
	write("a.yaml", "allow: []\n")
	p.signal(syscall.SIGHUP)
	p.says("policy reloaded")
	ask("a.sock", "403\n")
	ask("b.sock", "200\nhello\n")
	p.signal(syscall.SIGTERM)
	p.finish(0)
	for _, name := range r.Control {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	lines, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a-1", "b-1", "own-1", "b-2", "a-2", "b-3"} {
		if strings.Count(string(lines), `"sandbox":"`+name+`"`) != 1 {
			t.Errorf("the log does not have one line for %s:\n%s", name, lines)
		}
	}
}

// TestAttach: the command's status, signals that come to process 1, a proxy that ends.
func TestAttach(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "c.sock")
	proxy, _ := startProxy(t, "--listen", "none", "--control", socket)
	contained(t, "--socket", socket, "sh", "-c", "exit 3").start().finish(3)
	contained(t, "--socket", socket, "/nonexistent").start().finish(127)
	c := contained(t, append([]string{"--socket", socket, "--"}, self(t, "signals")...)...).start()
	if got := c.line(); got != "ready" {
		t.Errorf("got %q", got)
	}
	c.signal(syscall.SIGUSR1)
	if got := c.line(); got != "user defined signal 1" {
		t.Errorf("got %q", got)
	}
	proxy.signal(syscall.SIGTERM)
	proxy.finish(0)
	c.says("the command has no network any more")
	c.signal(syscall.SIGTERM)
	c.finish(7)
	late := contained(t, "--socket", socket, "true").start()
	late.finish(125)
	late.says("start the proxy first")
}

func TestAttachTransparentIsOffered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{{nil, 125, "start it with --transparent"}, {[]string{"--transparent"}, 0, ""}} {
		socket := filepath.Join(dir, "c.sock")
		proxy, _ := startProxy(t, append([]string{"--listen", "none", "--allow", "a.example", "--control", socket}, tt.args...)...)
		c := contained(t, "--socket", socket, "--transparent", "--", "true").start()
		c.finish(tt.status)
		c.says(tt.says)
		proxy.signal(syscall.SIGTERM)
		proxy.finish(0)
	}
}

// TestExplain: everything is shut in every mode, and what is left open is said to be.
func TestExplain(t *testing.T) {
	t.Parallel()
	eachSandbox(t, func(t *testing.T, mode string) {
		out := newProc(t, "run", "--sandbox", mode, "--explain").start().finish(0)
		for _, door := range []string{"unix-sockets", "io-uring", "network"} {
			if !strings.Contains(out, "shut  "+door+" ") {
				t.Errorf("%s is not said to be shut:\n%s", door, out)
			}
		}
		p := newProc(t, "run", "--sandbox", mode, "--explain", "--allow-weaker", "netlink", "--", "sh", "-c", "echo ran; exit 4").start()
		if out := p.finish(4); out != "ran\n" {
			t.Errorf("got %q on stdout", out)
		}
		p.says("open  netlink ")
		socket := filepath.Join(t.TempDir(), "s") // short enough
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p = newProc(t, "run", "--sandbox", mode, "--explain", "--host-socket", socket, "--", "true").start()
		p.finish(0) // it is what was asked for
		p.says("open  unix-sockets ")
	})
}
