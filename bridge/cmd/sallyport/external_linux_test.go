// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// externalCommand is the value of --external-cmd that runs this binary as a proxy at place.
func externalCommand(t *testing.T, place string) string {
	t.Helper()
	return "'" + strings.Join(self(t, "proxy", place), "' '") + "'"
}

// TestRunExternal: the filter stands in front of a proxy of the user's own, which listens at a port or a
// socket, started here or not.
func TestRunExternal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		for _, tt := range []struct {
			name string
			args func(t *testing.T) []string
		}{
			{"port", func(t *testing.T) []string { return []string{"--external-cmd", externalCommand(t, "{port}")} }},
			{"socket", func(t *testing.T) []string { return []string{"--external-cmd", externalCommand(t, "{socket}")} }},
			{"running, port", func(t *testing.T) []string {
				return []string{"--external-addr", strings.TrimPrefix(startVia(t, &via{}, "tcp", "127.0.0.1:0"), "http://")}
			}},
			{"running, socket", func(t *testing.T) []string {
				return []string{"--external-addr", startVia(t, &via{}, "unix", filepath.Join(t.TempDir(), "s"))}
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				w := startWitness(t, false)
				log := filepath.Join(t.TempDir(), "log")
				args := slices.Concat([]string{"run", "--sandbox", mode, "--allow", w.addr, "--log", log}, tt.args(t),
					[]string{"--"}, self(t, "connect", w.addr, "127.0.0.2:"+w.port))
				p := newProc(t, args...).shortTemp().start()
				if got := p.finish(0); got != "200\nhello\n403\n" {
					t.Errorf("got %q, want an answer of the origin and a refusal; stderr:\n%s", got, p.stderr)
				}
				w.want(t, 1)
				if data, err := os.ReadFile(log); err != nil || !strings.Contains(string(data), `"upstream_status":200`) {
					t.Errorf("got the log %s, %v, want the answer of the other proxy in it", data, err)
				}
			})
		}
	})
}

// TestRunExternalIsOutOfSight: no file and no socket of the external proxy can be reached from inside, where
// each of them might lead past the filter.
func TestRunExternalIsOutOfSight(t *testing.T) {
	t.Parallel()
	eachSandbox(t, func(t *testing.T, mode string) {
		p := newProc(t, "run", "--sandbox", mode, "--allow", "a.com", "--external-cmd", externalCommand(t, "{socket}"), "--allow-weaker", "unix-sockets,host-services", "--",
			"sh", "-c", `find "$TMPDIR" -type s -o -name 'sallyport-*' -path '*/p/*'; ls -A "$TMPDIR"/sallyport-*/p; echo over`).shortTemp().start()
		if got := p.finish(0); got != "over\n" {
			t.Errorf("got %q, want nothing of the other proxy", got)
		}
	})
}

// TestRunExternalLeavesNothing: a command that renames the private directory does not keep what was hidden from it,
// such as keys and passwords, for the next one.
func TestRunExternalLeavesNothing(t *testing.T) {
	t.Parallel()
	eachSandbox(t, func(t *testing.T, mode string) {
		p := newProc(t, "run", "--sandbox", mode, "--allow", "a.com", "--external-cmd", externalCommand(t, "{socket}"), "--allow-weaker", "unix-sockets,host-services", "--",
			"sh", "-c", `mv "$TMPDIR"/sallyport-* "$TMPDIR"/kept; echo over`).shortTemp().start()
		got, status := p.rest(), p.wait()
		if got != "over\n" || status != 0 {
			t.Errorf("got status %d and %q, want the directory moved; stderr:\n%s", status, got, p.stderr)
		}
		if left, err := os.ReadDir(filepath.Join(p.tmp, "kept")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v, want nothing in the directory that was moved", left, err)
		}
	})
}

// shortTemp gives it a TMPDIR with room for the path of a socket, which that of a test has not.
func (p *proc) shortTemp() *proc {
	p.t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sp")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { os.RemoveAll(dir) })
	p.tmp = dir
	p.cmd.Env = append(p.cmd.Env, "TMPDIR="+dir, "XDG_RUNTIME_DIR="+dir)
	return p
}

var processLine = regexp.MustCompile(`proxy of process (\d+) at`)

// TestRunExternalDies: kill -9 in the middle of ten downloads. Each ends at once, the next
// request fails, nothing goes round, and standard error says what died and how.
func TestRunExternalDies(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		for own, want := range map[string]int{"0": 125, "7": 7} {
			t.Run("status "+own, func(t *testing.T) {
				t.Parallel()
				runAndKill(t, mode, own, want)
			})
		}
	})
}

func runAndKill(t *testing.T, mode, own string, status int) {
	t.Helper()
	w := startWitness(t, true)
	log := filepath.Join(t.TempDir(), "output")
	args := []string{"run", "--sandbox", mode, "--allow", w.addr, "--external-cmd", externalCommand(t, "{port}"), "--external-log", log,
		"--", "sh", "-c", `"$@"; exit ` + own, "sh"}
	p := newProc(t, append(args, self(t, "download", w.addr, w.addr)...)...).start()
	if got := p.line(); got != "begun" {
		t.Fatalf("got %q, want the downloads to begin; stderr:\n%s", got, p.stderr)
	}
	data, err := os.ReadFile(log)
	m := processLine.FindSubmatch(data)
	if err != nil || m == nil {
		t.Fatalf("got the output %q, %v, want the process id in it", data, err)
	}
	pid, _ := strconv.Atoi(string(m[1]))
	killed := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := p.line(); got != "ended" {
		t.Errorf("got %q, want the downloads to end", got)
	}
	took := time.Since(killed)
	t.Logf("ten downloads ended %v after the kill", took)
	if took > time.Second {
		t.Errorf("the downloads ended %v after the kill, want a second at most", took)
	}
	// Until the death is known the listener is there, and what it says is no.
	if got := p.finish(status); got != "no answer\n" && got != "502\n" {
		t.Errorf("the next request got %q, want no answer or 502", got)
	}
	w.want(t, 10)
	got := p.stderr.String()
	if strings.Count(got, "the proxy stopped, the command has no network any more: ") != 1 || !strings.Contains(got, "signal: killed") {
		t.Errorf("got stderr %q, want it to say once what died and how", got)
	}
	if says := strings.Contains(got, "the command's own status was 0"); says != (status == 125) {
		t.Errorf("got stderr %q with status %d, want it to say that the command's own was 0 where it is not passed on", got, status)
	}
}

// TestRunExternalCannotStart: nothing is run, and the error tells what the program said.
func TestRunExternalCannotStart(t *testing.T) {
	t.Parallel()
	absent := filepath.Join(t.TempDir(), "absent")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"ends", []string{"--external-cmd", `sh -c 'echo "it\x1b is broken"; exit 9'`}, []string{"ended before it listened", "exit status 9", "is broken"}},
		{"does not exist", []string{"--external-cmd", absent + " {port}"}, []string{absent}},
		{"nobody there", []string{"--external-addr", l.Addr().String()}, []string{"no proxy at " + l.Addr().String()}},
		{"no socket there", []string{"--external-addr", "unix://" + absent}, []string{"no proxy at " + absent}},
		{"no CA", []string{"--external-cmd", externalCommand(t, "{port}"), "--external-ca", "/dev/null"}, []string{"/dev/null"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			marker := filepath.Join(t.TempDir(), "ran")
			p := newProc(t, slices.Concat([]string{"run", "--allow", "a.com"}, tt.args, []string{"--", "touch", marker})...).start()
			p.finish(125)
			for _, want := range tt.want {
				if got := p.stderr.String(); !strings.Contains(got, want) || strings.Contains(got, "\x1b") {
					t.Errorf("got stderr %q, want %q in it and no escape sequence", got, want)
				}
			}
			if _, err := os.Stat(marker); err == nil {
				t.Error("the command was run")
			}
		})
	}
}

// TestProxyExternal: the proxy alone with one behind it; its death is its own.
func TestProxyExternal(t *testing.T) {
	t.Parallel()
	w := startWitness(t, false)
	log := filepath.Join(t.TempDir(), "output")
	p, r := startProxy(t, "--allow", w.addr, "--external-cmd", externalCommand(t, "{port}"), "--external-log", log)
	status, live := tunnel(t, "tcp", r.Addr, w.addr)
	if status != "200" {
		t.Fatalf("got %s, want 200", status)
	}
	if got, _ := tunnel(t, "tcp", r.Addr, "127.0.0.2:"+w.port); got != "403" {
		t.Errorf("got %s, want 403", got)
	}
	data, err := os.ReadFile(log)
	m := processLine.FindSubmatch(data)
	if err != nil || m == nil {
		t.Fatalf("got the output %q, %v, want the process id in it", data, err)
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the output: got %v, %v, want mode 0600", info, err)
	}
	pid, _ := strconv.Atoi(string(m[1]))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, live)
	p.finish(1)
	if got := p.stderr.String(); !strings.Contains(got, "the proxy stopped: ") || !strings.Contains(got, "signal: killed") {
		t.Errorf("got stderr %q, want it to say what died and how", got)
	}
	w.want(t, 1)
}

// TestRunPreset: the programs that are installed here, behind the filter. Their guard keeps
// everybody else out, which external tests.
func TestRunExternalPreset(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"squid", "tinyproxy", "privoxy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWitness(t, false)
			args := []string{"run", "--allow", w.addr, "--external", name, "--summary", "--"}
			p := newProc(t, append(args, self(t, "connect", w.addr, "127.0.0.2:"+w.port)...)...).start()
			p.stdin.Close()
			got, status := p.rest(), p.wait()
			p.clean()
			if said := p.stderr.String(); strings.Contains(said, "is not installed") {
				t.Skip(said)
			}
			if status != 0 || got != "200\nhello\n403\n" {
				t.Errorf("got status %d and %q, want an answer of the origin and a refusal; stderr:\n%s", status, got, p.stderr)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if got := fmt.Sprint(w.direct + w.behind); got != "1" {
				t.Errorf("the origin saw %s connections, want 1", got)
			}
		})
	}
}
