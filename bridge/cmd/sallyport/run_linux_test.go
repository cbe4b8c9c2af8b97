// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunStatus(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("not a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	noLoader := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(noLoader, []byte("#!/nonexistent/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, mode string) {
		for _, tt := range []struct {
			name    string
			command []string
			status  int
			stderr  string
		}{
			{"success", []string{"true"}, 0, ""},
			{"own status", []string{"sh", "-c", "exit 7"}, 7, ""},
			{"125 of its own", []string{"sh", "-c", "exit 125"}, 125, ""},
			{"255", []string{"sh", "-c", "exit 255"}, 255, ""},
			{"killed", []string{"sh", "-c", "kill -9 $$"}, 137, ""},
			{"terminated", []string{"sh", "-c", "kill -TERM $$"}, 143, ""},
			{"not found", []string{"sallyport-no-such-command"}, 127, "sallyport-no-such-command"},
			{"no such path", []string{"/nonexistent/command"}, 127, "/nonexistent/command"},
			{"directory", []string{"/"}, 126, "/"},
			{"not executable", []string{plain}, 126, plain},
			{"behind a double dash", []string{"--", "sh", "-c", "exit 3"}, 3, ""},
			{"options of the command", []string{"sh", "-c", `test "$1" = --allow`, "sh", "--allow"}, 0, ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				p := newProc(t, append([]string{"run", "--allow", "a.com", "--sandbox", mode}, tt.command...)...).start()
				p.finish(tt.status)
				if got := p.stderr.String(); !strings.Contains(got, tt.stderr) || tt.status < 126 && mode != "none" && got != "" {
					t.Errorf("got stderr %q, want %q in it and nothing unasked", got, tt.stderr)
				}
			})
		}
		t.Run("interpreter missing", func(t *testing.T) {
			t.Parallel()
			p := newProc(t, "run", "--sandbox", mode, noLoader).start()
			p.stdin.Close()
			if got := p.wait(); got != 126 && got != 127 {
				t.Errorf("got status %d, want 126 or 127", got)
			}
		})
	})
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("allow: [a.com]\nalow: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		stderr string
	}{
		{"no command", []string{"--allow", "a.com"}, "no command"},
		{"bad pattern", []string{"--allow", ".github.com", "true"}, "write github.com and **.github.com"},
		{"bad policy file", []string{"--policy", file, "true"}, file + ":2: unknown key"},
		{"bad sandbox", []string{"--sandbox", "docker", "true"}, `--sandbox "docker" is not one of`},
		{"bwrap argument without bwrap", []string{"--sandbox", "none", "--bwrap-arg", "--x", "true"}, "--bwrap-arg means nothing"},
		{"bwrap argument that is not about files", []string{"--bwrap-arg", "--share-net", "true"}, "--share-net"},
		{"log in a missing directory", []string{"--log", "/nonexistent/log", "true"}, "no such file or directory; make its directory first"},
		{"external", []string{"--external", "haproxy", "true"}, "--external: "},
		{"external command", []string{"--external-cmd", "/nonexistent/proxy {port}", "true"}, "/nonexistent/proxy"},
		{"upstream", []string{"--upstream=ftp://u", "true"}, "--upstream: upstream URL: "},
		{"upstream of the environment, which has none", []string{"--upstream=env", "true"}, "the environment names no upstream"},
		{"unknown option", []string{"--alow", "a.com", "true"}, "did you mean --allow?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			marker := filepath.Join(t.TempDir(), "ran")
			args := append([]string{"run"}, tt.args...)
			if args[len(args)-1] == "true" {
				args = append(args[:len(args)-1], "touch", marker)
			}
			p := newProc(t, args...).start()
			p.finish(125)
			if got := p.stderr.String(); !strings.Contains(got, tt.stderr) {
				t.Errorf("got stderr %q, want %q in it", got, tt.stderr)
			}
			if _, err := os.Stat(marker); err == nil {
				t.Error("the command was run")
			}
		})
	}
}

func TestRunPassesStreams(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", "cat; echo problem >&2").start()
		fmt.Fprint(p.stdin, "in\x00put")
		if got := p.finish(0); got != "in\x00put" {
			t.Errorf("got stdout %q, want what stdin was", got)
		}
		if got := p.stderr.String(); !strings.Contains(got, "problem\n") {
			t.Errorf("got stderr %q, want the command's", got)
		}
	})
}

func TestRunPassesNoDescriptor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c",
			"for n in 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do test ! -e /proc/self/fd/$n || echo $n open; done")
		p.cmd.ExtraFiles = []*os.File{f, f, nil, nil, f}
		if got := p.start().finish(0); got != "" {
			t.Errorf("got %q, want no descriptor but the standard three", got)
		}
	})
}

func TestRunEnforcesAndLogs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		target := origin(t)
		log := filepath.Join(t.TempDir(), "log")
		args := []string{"run", "--allow", target, "--sandbox", mode, "--log", log, "--summary", "--"}
		args = append(args, self(t, "connect", target, "denied.example:443", "denied.example:443", "10.1.2.3:22")...)
		p := newProc(t, args...).start()
		if got, want := p.finish(0), "200\nhello\n403\n403\n403\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for _, want := range []string{"3 requests were denied", "2      denied.example:443", "--allow denied.example\n", "--allow 10.1.2.3:22\n"} {
			if got := p.stderr.String(); !strings.Contains(got, want) {
				t.Errorf("got stderr %q, want %q in it", got, want)
			}
		}
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		decisions := map[string]int{}
		for line := range strings.Lines(string(data)) {
			var got struct{ Sandbox, Host, Decision, Reason string }
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("log line %q: %v", line, err)
			}
			decisions[got.Decision+" "+got.Reason]++
		}
		want := map[string]int{"allow ": 1, "deny host_not_allowed": 2, "deny address_not_allowed": 1}
		if fmt.Sprint(decisions) != fmt.Sprint(want) {
			t.Errorf("got decisions %v, want %v", decisions, want)
		}
	})
}

func TestRunSummaryOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"", "--summary=false"} {
		args := []string{"run", "--allow", "a.com"}
		if flag != "" {
			args = append(args, flag)
		}
		p := newProc(t, append(args, self(t, "connect", "b.com:443")...)...).start()
		if got := p.finish(0); got != "403\n" {
			t.Errorf("got %q, want 403", got)
		}
		if got := p.stderr.String(); got != "" {
			t.Errorf("%q: got stderr %q, want none", flag, got)
		}
	}
}

func TestRunHints(t *testing.T) {
	t.Parallel()
	p := newProc(t, "run", "--", "true").start()
	p.finish(0)
	if got := p.stderr.String(); !strings.Contains(got, "nothing is allowed") {
		t.Errorf("got stderr %q, want a hint that nothing is allowed", got)
	}
	p = newProc(t, "run", "--sandbox", "none", "--", "true").start()
	p.finish(0)
	if got := p.stderr.String(); strings.Contains(got, "no network") || !strings.Contains(got, "the proxy will deny every request") {
		t.Errorf("got stderr %q, want it to say what is denied, and not that there is no network", got)
	}
	p = newProc(t, "run", "--sandbox", "none", "--allow", "a.com", "--", "true").start()
	p.finish(0)
	if got := p.stderr.String(); !strings.Contains(got, "enforces nothing") {
		t.Errorf("got stderr %q, want a warning that nothing is enforced", got)
	}
}

// TestRunLogFailureTakesTheNetworkAway, and a command that has not noticed is no success: the
// record of what it did is not whole.
func TestRunLogFailureTakesTheNetworkAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		for own, want := range map[string]int{"5": 5, "0": 125} {
			runWithLostLog(t, mode, own, want)
		}
	})
}

func runWithLostLog(t *testing.T, mode, own string, status int) {
	t.Helper()
	target := origin(t)
	args := []string{"run", "--allow", target, "--sandbox", mode, "--log", "/dev/full", "--", "sh", "-c", `"$@"; exit ` + own, "sh"}
	args = append(args, self(t, "connect", "denied.example:443", target, target)...)
	p := newProc(t, args...).start()
	if got := p.finish(status); !strings.HasSuffix(got, "error\n") || strings.Contains(got, "hello") {
		t.Errorf("got %q, want no tunnel after the first record was lost", got)
	}
	got := p.stderr.String()
	if strings.Count(got, "decision log /dev/full: cannot be written") != 1 || !strings.Contains(got, "make room for it, or name another file") {
		t.Errorf("got stderr %q, want one message about the log, with what to do", got)
	}
	if says := strings.Contains(got, "the command's own status was 0"); says != (status == 125) {
		t.Errorf("got stderr %q with status %d, want it to say that the command's own was 0 where it is not passed on", got, status)
	}
}

// TestRunReachesTheHostsLoopback: localhost and its addresses are those of the host, where the
// proxy dials. Nothing listening there is a failure that the summary explains.
func TestRunReachesTheHostsLoopback(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		_, port, err := net.SplitHostPort(origin(t))
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"run", "--allow", "localhost:" + port + ",127.0.0.2:" + port, "--sandbox", mode, "--summary", "--"}
		p := newProc(t, append(args, self(t, "connect", "localhost:"+port, "127.0.0.2:"+port)...)...).start()
		if got, want := p.finish(0), "200\nhello\n502\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := p.stderr.String(); !strings.Contains(got, "nothing was denied, but 1 allowed request failed\n") ||
			!strings.Contains(got, "127.0.0.2:"+port+"  failed  dial_error  nothing listens there on the host") {
			t.Errorf("got stderr %q, want the failed request in it", got)
		}
	})
}

func TestRunOpensNoPortOnTheHost(t *testing.T) {
	t.Parallel()
	for _, mode := range modes(t) {
		if mode == "none" {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", "echo up; cat").start()
			p.line()
			for _, inode := range listening(t) {
				for _, fd := range descriptors(t, p.cmd.Process.Pid) {
					if fd == "socket:["+inode+"]" {
						t.Errorf("sallyport listens in the host's network namespace: %s", fd)
					}
				}
			}
			p.finish(0)
		})
	}
}

// listening returns the inodes of the TCP sockets that listen here.
func listening(t *testing.T) []string {
	t.Helper()
	var inodes []string
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // no IPv6 here
		}
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
				inodes = append(inodes, f[9])
			}
		}
	}
	return inodes
}

// descriptors returns what the descriptors of a process are.
func descriptors(t *testing.T, pid int) []string {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(names) == 0 {
		t.Fatalf("descriptors of %d: %q, %v", pid, names, err)
	}
	var all []string
	for _, name := range names {
		if to, err := os.Readlink(name); err == nil {
			all = append(all, to)
		}
	}
	return all
}

// TestRunNoProxy: a client inside reaches the sandbox's own loopback directly,
// unless the policy names loopback: then it has to ask the proxy.
func TestRunNoProxy(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		for _, tt := range []struct{ allow, want string }{
			{"a.com", "localhost,127.0.0.1,::1"},
			{"a.com,localhost:5432", ""},
		} {
			p := newProc(t, "run", "--allow", tt.allow, "--sandbox", mode, "sh", "-c", `printf %s "$NO_PROXY"`).start()
			got := p.rest()
			p.finish(0)
			if got != tt.want {
				t.Errorf("--allow %s: got NO_PROXY %q, want %q", tt.allow, got, tt.want)
			}
		}
	})
}
