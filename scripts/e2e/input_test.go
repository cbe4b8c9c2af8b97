// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What people get wrong. Every message must name what was wrong, and nothing may have run: the command would leave a
// file.
func TestBadInput(t *testing.T) {
	tests := []struct {
		name   string
		args   []string // before the command; FILE stands for file
		file   string   // content of a file the arguments name
		status int
		want   []string // in the message
	}{
		{"empty pattern", []string{"run", "--allow", ""}, "", 125, []string{"empty pattern"}},
		{"leading dot", []string{"run", "--allow", ".github.com"}, "", 125, []string{`".github.com"`, "**.github.com"}},
		{"URL", []string{"run", "--allow", "https://github.com"}, "", 125, []string{`"https://github.com"`, "write github.com"}},
		{"public suffix", []string{"run", "--allow", "*.co.uk"}, "", 125, []string{`"*.co.uk"`}},
		{"several at once", []string{"run", "--allow", "https://a.com,.b.com"}, "", 125, []string{"https://a.com", ".b.com"}},
		{"unknown key", []string{"run", "--policy", "FILE"}, "allow: [github.com]\nalow: [x.com]\n", 125, []string{"FILE:2", "alow"}},
		{"wrong type", []string{"run", "--policy", "FILE"}, "allow:\n  github.com: 443\n", 125, []string{"FILE:"}},
		{"no such policy", []string{"run", "--policy", "/nonexistent/policy"}, "", 125, []string{"/nonexistent/policy"}},
		{"list with a URL on line 2", []string{"run", "--allow", "@FILE"}, "a.com\r\nhttps://b.com\r\n", 125, []string{"FILE:2", "https://b.com"}},
		{"log that cannot be", []string{"run", "--allow", allowed, "--log", "/nonexistent/log"}, "", 125, []string{"/nonexistent/log"}},
		{"unknown flag", []string{"run", "--alow", allowed}, "", 125, []string{"--alow", "--allow"}},
		{"unknown sandbox", []string{"run", "--sandbox", "docker"}, "", 125, []string{"docker", "bwrap"}},
		{"no such door", []string{"run", "--allow", allowed, "--allow-weaker", "unix-socket"}, "", 125, []string{"unix-socket", "unix-sockets"}},
		{"an upstream that is none", []string{"run", "--upstream", "proxy.corp.test:3128"}, "", 125, []string{"--upstream", "http://"}},
		{"a pin that is no address", []string{"run", "--resolve", "github.com=elsewhere"}, "", 125, []string{"elsewhere"}},
		{"unknown word", []string{"rnu"}, "", 2, []string{"rnu", "run"}},
		{"bwrap argument about the network", []string{"run", "--allow", allowed, "--sandbox", "bwrap", "--bwrap-arg", "--share-net"}, "", 125, []string{"--share-net"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			file := filepath.Join(b.home, "file")
			if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var args []string
			for _, a := range tt.args {
				args = append(args, strings.ReplaceAll(a, "FILE", file))
			}
			r := b.run(t, append(args, "--", "touch", "ran")...)
			if r.status != tt.status {
				t.Errorf("%s\nwant status %d", r, tt.status)
			}
			for _, want := range tt.want {
				if want = strings.ReplaceAll(want, "FILE", file); !strings.Contains(r.stderr, want) {
					t.Errorf("%s\nwant %q in the message", r, want)
				}
			}
			if _, err := os.Stat(filepath.Join(b.home, "ran")); err == nil {
				t.Error("the command ran")
			}
		})
	}
}

func TestCommandsThatCannotRun(t *testing.T) {
	for _, mode := range modes {
		for command, want := range map[string]int{"nonexistent-command": 127, "/nonexistent/command": 127, "/etc/passwd": 126, "/": 126} {
			t.Run(mode+" "+command, func(t *testing.T) {
				r := newBench(t).run(t, "run", "--sandbox", mode, "--allow", allowed, "--", command)
				if r.status != want || !strings.Contains(r.stderr, command) {
					t.Errorf("%s\nwant status %d and the command in the message", r, want)
				}
			})
		}
	}
}

func TestExitStatusAndInput(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t)
			for script, want := range map[string]int{"exit 0": 0, "exit 37": 37, "exit 125": 125, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137, "kill -SEGV $$": 139} {
				if r := b.run(t, "run", "--sandbox", mode, "--", "sh", "-c", script); r.status != want {
					t.Errorf("%s: %s\nwant status %d", script, r, want)
				}
			}
			in, err := os.CreateTemp(b.home, "in")
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			fmt.Fprint(in, "line\n")
			if _, err := in.Seek(0, 0); err != nil {
				t.Fatal(err)
			}
			if r := b.runWith(t, in, sallyport, "run", "--sandbox", mode, "--", "cat"); r.stdout != "line\n" || r.status != 0 {
				t.Errorf("cat: %s\nwant its input back", r)
			}
			// Without standard streams nothing else may take their numbers.
			r := b.runWith(t, nil, "sh", "-c", `"$@" <&- >&- 2>&-`, "sh", sallyport, "run", "--sandbox", mode, "--", "sh", "-c", "exit 5")
			if r.status != 5 {
				t.Errorf("with closed streams: %s\nwant status 5", r)
			}
		})
	}
}

// An empty policy is a network without anything in it, not an error and not an open network.
func TestNothingAllowed(t *testing.T) {
	curl := lookPath(t, "curl")
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			before := mark(t)
			r := newBench(t).run(t, "run", "--sandbox", mode, "--", curl, "-sS", "https://"+allowed+"/")
			if r.status != 56 || !strings.Contains(r.stderr, "403") || !strings.Contains(r.stderr, "nothing is allowed") {
				t.Errorf("%s\nwant curl's status 56, a 403, and a word about the empty policy", r)
			}
			nothingSince(t, before)
		})
	}
}

// A star names every host; addresses stay guarded, whoever leads to them.
func TestStar(t *testing.T) {
	curl := lookPath(t, "curl")
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t)
			get := func(url string) result {
				return b.run(t, "run", "--sandbox", mode, "--allow", "*", "--", curl, "-sSk", url)
			}
			if r := get("https://" + refused + "/"); r.stdout != greeted {
				t.Errorf("%s\nwant the page", r)
			}
			for _, url := range []string{"https://169.254.169.254/", "https://metadata.example.net/", "https://[::ffff:169.254.169.254]/",
				"https://127.0.0.1/", "https://localhost/", "https://10.0.0.1/", "https://2852039166/"} {
				before := mark(t)
				if r := get(url); r.status == 0 {
					t.Errorf("%s: %s\nwant a refusal", url, r)
				}
				conns, err := world.Witness().ConnectionsSince(before)
				if err != nil || len(conns) > 0 {
					t.Errorf("%s: %d connections, %v; want none", url, len(conns), err)
				}
			}
		})
	}
}

// The proxy variables are a courtesy: without them, and with tools that never knew them, nothing gets out either.
func TestWithoutVariables(t *testing.T) {
	curl, python := lookPath(t, "curl"), systemPython(t)
	const unset = "unset HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy; "
	const udp = `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x" * 40, ("192.0.2.53", 53))`
	for _, mode := range modes {
		for name, command := range map[string]string{
			"by name":    curl + " -sS -m 10 https://" + allowed + "/",
			"by address": curl + " -sSk -m 10 https://" + hosts[allowed].String() + "/",
			"resolver":   "getent hosts " + allowed,
			"UDP":        python + " -c '" + udp + "'",
		} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				before := mark(t)
				r := newBench(t).run(t, "run", "--sandbox", mode, "--allow", allowed, "--", "sh", "-c", unset+command)
				if r.status == 0 || r.status == 125 {
					t.Errorf("%s\nwant the command's own failure", r)
				}
				nothingSince(t, before)
			})
		}
	}
}

// A decision that cannot be written down is not made: /dev/full takes no line.
func TestLogThatFails(t *testing.T) {
	curl := lookPath(t, "curl")
	r := newBench(t).run(t, "run", "--allow", allowed, "--log", "/dev/full", "--", "sh", "-c",
		curl+" -sS https://"+refused+"/; "+curl+" -sS https://"+allowed+"/")
	if r.status == 0 || strings.Contains(r.stdout, greeted) || !strings.Contains(r.stderr, "/dev/full") {
		t.Errorf("%s\nwant no page, and /dev/full named", r)
	}
}

func TestListWithCarriageReturns(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(b.home, "hosts")
	if err := os.WriteFile(file, []byte("\ufeff# ours\r\n"+allowed+"\r\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := b.run(t, "run", "--allow", "@"+file, "--", lookPath(t, "curl"), "-sS", "https://"+allowed+"/")
	if r.stdout != greeted {
		t.Errorf("%s\nwant the page", r)
	}
}

func TestProxyThatCannotStart(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	b := newBench(t)
	long := filepath.Join(b.tmp, strings.Repeat("x", 120))
	foreign := foreignDir(t)
	file := filepath.Join(b.home, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"port in use", []string{"--listen", busy.Addr().String()}, busy.Addr().String()},
		{"path of over 108 bytes", []string{"--socket", long}, "bytes"},
		{"directory of another user", []string{"--socket", filepath.Join(foreign, "s")}, foreign},
		{"no directory", []string{"--socket", "/nonexistent/dir/s"}, "/nonexistent/dir"},
		{"a file in its place", []string{"--socket", file}, file},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := b.run(t, append([]string{"proxy", "--allow", allowed}, tt.args...)...)
			if r.status != 1 || !strings.Contains(r.stderr, tt.want) || r.stdout != "" {
				t.Errorf("%s\nwant status 1, nothing on stdout and %q in the message", r, tt.want)
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file in the socket's place: %q, %v", text, err)
	}
}

// foreignDir is a directory that belongs to somebody else.
func foreignDir(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		return "/etc" // not ours; and not even root's, as a user namespace shows it
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 1, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Neither bubblewrap nor user namespaces: an error that says so, and never an open network.
func TestNoSandboxAtAll(t *testing.T) {
	unshare := lookPath(t, "unshare")
	b := newBench(t)
	b.setenv("PATH=" + b.tmp)
	touch := lookPath(t, "touch")
	const script = `echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"`
	for _, mode := range []string{"auto", "bwrap", "userns"} {
		t.Run(mode, func(t *testing.T) {
			r := b.runWith(t, nil, unshare, "--user", "--map-root-user", "/bin/sh", "-c", script, "sh",
				sallyport, "run", "--sandbox", mode, "--allow", allowed, "--", touch, "ran")
			if r.status != 125 {
				t.Errorf("%s\nwant status 125", r)
			}
			if mode != "userns" && !strings.Contains(r.stderr, "bwrap") {
				t.Errorf("%s\nwant bwrap named", r)
			}
			if mode != "bwrap" && !strings.Contains(r.stderr, "max_user_namespaces") {
				t.Errorf("%s\nwant the sysctl named that would mend it", r)
			}
			if _, err := os.Stat(filepath.Join(b.home, "ran")); err == nil {
				t.Error("the command ran")
			}
		})
	}
}
