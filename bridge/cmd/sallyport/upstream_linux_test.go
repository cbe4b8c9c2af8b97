// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ordinaryUser is a user id that nobody has: it needs no account.
const ordinaryUser = 54321

// TestAsOrdinaryUser runs the tests with other proxies and those of control sockets again without privileges.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		return // an ordinary user has run them already; a skip would say that something was left out
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(publicDir(t), "sallyport.test")
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(public, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), public, "-test.timeout=300s", "-test.run=^Test(Run(Upstream.*|External|ExternalIsOutOfSight|ExternalDies|ExternalCannotStart)|ControlSockets|Attach.*)$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp", "HOME=/", "XDG_RUNTIME_DIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUser, Gid: ordinaryUser}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as user %d: %v\n%s", ordinaryUser, err, out)
	}
	if !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("as user %d: no test was run:\n%s", ordinaryUser, out)
	}
}

// publicDir is a directory that every user can enter, unlike t.TempDir.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sallyport-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// credentialsFile makes one that nobody else may read.
func credentialsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunUpstream: what is allowed goes through the upstream, by name; of what is denied the upstream hears
// nothing; with wrong credentials, and when it is down, there is a 502 and no way round.
func TestRunUpstream(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		inSandboxes := []string{"open", "socket", "credentials in a variable", "no credentials"} // what may differ there
		for _, tt := range []struct {
			name   string
			v      *via
			args   func(t *testing.T, url string) []string
			socket bool
			want   string
			status int // of the upstream, in the log
		}{
			{"open", &via{}, func(_ *testing.T, url string) []string { return []string{"--upstream", url} }, false, "200\nhello\n403\n", 200},
			{"socket", &via{}, func(_ *testing.T, url string) []string { return []string{"--upstream", url} }, true, "200\nhello\n403\n", 200},
			{"credentials in the URL", &via{user: "u", password: "s3cret"}, func(_ *testing.T, url string) []string {
				return []string{"--upstream", strings.Replace(url, "://", "://u:s3cret@", 1)}
			}, false, "200\nhello\n403\n", 200},
			{"credentials in a file", &via{user: "u", password: "s3cret"}, func(t *testing.T, url string) []string {
				return []string{"--upstream", url, "--upstream-credentials", credentialsFile(t, "u:s3cret\n")}
			}, false, "200\nhello\n403\n", 200},
			{"credentials in a variable", &via{user: "u", password: "s3cret:s3cret"}, func(_ *testing.T, url string) []string {
				return []string{"--upstream", url, "--upstream-credentials", "env:UPSTREAM_LOGIN"}
			}, false, "200\nhello\n403\n", 200},
			{"no credentials", &via{user: "u", password: "s3cret"}, func(_ *testing.T, url string) []string { return []string{"--upstream", url} }, false, "502\n403\n", 407},
			{"wrong credentials", &via{user: "u", password: "other"}, func(t *testing.T, url string) []string {
				return []string{"--upstream", url, "--upstream-credentials", credentialsFile(t, "u:s3cret")}
			}, false, "502\n403\n", 407},
			{"refuses", &via{status: 403}, func(_ *testing.T, url string) []string { return []string{"--upstream", url} }, false, "502\n403\n", 403},
		} {
			if mode != "none" && !slices.Contains(inSandboxes, tt.name) {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				w := startWitness(t, false)
				network, addr := "tcp", "127.0.0.1:0"
				if tt.socket {
					network, addr = "unix", filepath.Join(t.TempDir(), "up.sock")
				}
				url := startVia(t, tt.v, network, addr)
				log := filepath.Join(t.TempDir(), "log")
				target := "origin.example:" + w.port
				args := slices.Concat([]string{"run", "--sandbox", mode, "--allow", target, "--log", log, "--summary"}, tt.args(t, url), []string{"--"}, self(t, "connect", target, "denied.example:443"))
				p := newProc(t, args...)
				p.cmd.Env = append(p.cmd.Env, "UPSTREAM_LOGIN=u:s3cret:s3cret")
				if got := p.start().finish(0); got != tt.want {
					t.Errorf("got %q, want %q; stderr:\n%s", got, tt.want, p.stderr)
				}
				if got := tt.v.asked(); got != target {
					t.Errorf("the upstream was asked for %q, want %q alone", got, target)
				}
				w.want(t, strings.Count(tt.want, "hello"))
				wantLog(t, log, p.stderr.String(), url, tt.status)
			})
		}
	})
}

// wantLog checks that the log names the upstream, with its status, the summary says what it answered if it
// was not 200, and neither holds a password.
func wantLog(t *testing.T, log, stderr, url string, status int) {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`"upstream":%q,"upstream_status":%d`, url, status); !strings.Contains(string(data), want) {
		t.Errorf("got the log %s, want %s in it", data, want)
	}
	if want := fmt.Sprintf("answered %d", status); status != 200 && !strings.Contains(stderr, want) {
		t.Errorf("got stderr %q, want %q in it", stderr, want)
	}
	if strings.Contains(string(data)+stderr, "s3cret") {
		t.Errorf("a password is shown:\n%s\n%s", data, stderr)
	}
}

// TestRunUpstreamDown: nobody listens where the upstream should be.
func TestRunUpstreamDown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		w := startWitness(t, false)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		// The pinned name and the literal are known here; that must not tempt anybody.
		args := []string{"run", "--sandbox", mode, "--allow", "origin.example:" + w.port + ",127.0.0.1:" + w.port, "--resolve", "origin.example=127.0.0.1",
			"--upstream", "http://" + l.Addr().String(), "--summary", "--"}
		p := newProc(t, append(args, self(t, "connect", "origin.example:"+w.port, w.addr)...)...).start()
		if got := p.finish(0); got != "502\n502\n" {
			t.Errorf("got %q, want 502 twice; stderr:\n%s", got, p.stderr)
		}
		w.want(t, 0)
		if got := p.stderr.String(); !strings.Contains(got, "the upstream") {
			t.Errorf("got stderr %q, want it to say that the upstream is the reason", got)
		}
	})
}

// TestRunUpstreamFromEnvironment: the variables of the host are used when that is asked for, and only then;
// the command sees none of them.
func TestRunUpstreamFromEnvironment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		w := startWitness(t, false)
		v := &via{user: "u", password: "s3cret"}
		url := strings.Replace(startVia(t, v, "tcp", "127.0.0.1:0"), "://", "://u:s3cret@", 1)
		run := func(noProxy string, args ...string) string {
			t.Helper()
			args = slices.Concat([]string{"run", "--sandbox", mode, "--allow", "origin.example:" + w.port + ",127.0.0.1:" + w.port, "--resolve", "origin.example=127.0.0.1"},
				args, []string{"--", "sh", "-c", `"$@"; env | grep "s3"cret; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\000' '\\n' | grep "s3"cret; echo 0`, "sh"}, self(t, "connect", "origin.example:"+w.port))
			if mode == "none" { // the processes in sight are everybody's
				args[slices.Index(args, "-c")+1] = `"$@"; env | grep "s3"cret; echo 0`
			}
			p := newProc(t, args...)
			p.cmd.Env = append(p.cmd.Env, "HTTPS_PROXY="+url, "all_proxy="+url, "NO_PROXY="+noProxy)
			p.start().stdin.Close()
			out := p.rest()
			p.wait()
			p.clean()
			if strings.Contains(p.stderr.String(), "s3cret") {
				t.Errorf("got stderr %q, want it without the password", p.stderr)
			}
			return out
		}
		if got := run("", "--upstream", "env"); got != "200\nhello\n0\n" {
			t.Errorf("env: got %q, want an answer of the origin", got)
		}
		w.want(t, 1)
		if got := run("other.example", "--upstream", "env"); got != "200\nhello\n0\n" {
			t.Errorf("another exception: got %q, want an answer of the origin", got)
		}
		w.want(t, 2)
		if got := run("origin.example", "--upstream", "env"); got != "200\nhello\n0\n" || w.past() != 1 {
			t.Errorf("NO_PROXY: got %q and %d direct connections, want 1", got, w.past())
		}
		if got := run(""); got != "200\nhello\n0\n" || w.past() != 2 {
			t.Errorf("not asked for: got %q and %d direct connections, want 2", got, w.past())
		}
	})
}

// TestRunUpstreamSecretsAreOutOfSight: neither the file with the credentials nor the upstream's socket
// can be used from inside.
func TestRunUpstreamSecretsAreOutOfSight(t *testing.T) {
	t.Parallel()
	eachSandbox(t, func(t *testing.T, mode string) {
		v := &via{user: "u", password: "s3cret"}
		path := filepath.Join(t.TempDir(), "up.sock")
		url := startVia(t, v, "unix", path)
		file := credentialsFile(t, "u:s3cret")
		policy := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(policy, []byte("upstream: 'http://u:s3cret@127.0.0.1:1'\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p := newProc(t, "run", "--sandbox", mode, "--allow", "a.com", "--policy", policy, "--", "sh", "-c", "cat "+policy+"; echo over").start()
		if got := p.finish(0); got != "over\n" {
			t.Errorf("got %q, want nothing of the policy file with a password", got)
		}
		script := "cat " + file + "; test -S " + path + " && echo socket; env | grep -i login; echo over"
		inURL := strings.Replace(url, "://", "://u:s3cret@", 1)
		for _, args := range [][]string{{"--upstream", url, "--upstream-credentials", file}, {"--upstream", inURL}, {"--upstream", "env"}} {
			args = slices.Concat([]string{"run", "--sandbox", mode, "--allow", "a.com"}, openDoors(mode), args, []string{"--", "sh", "-c", script})
			p := newProc(t, args...)
			p.cmd.Env = append(p.cmd.Env, "all_proxy="+inURL)
			want := "u:s3cretover\n"
			if slices.Contains(args, file) {
				want = "over\n"
			}
			if got := p.start().finish(0); got != want {
				t.Errorf("%q: got %q, want %q", args, got, want)
			}
		}
		os.Remove(path)
		p = newProc(t, "run", "--sandbox", mode, "--allow", "a.com", "--upstream", inURL, "--", "true").start()
		p.finish(125)
		if got := p.stderr.String(); !strings.Contains(got, path) || !strings.Contains(got, "no such file") || strings.Contains(got, "s3cret") {
			t.Errorf("got stderr %q, want it to say that the socket is not there, and no password", got)
		}
	})
}

// TestProxyUpstream: the proxy alone goes through an upstream, too, that a policy names; a new one takes a restart.
func TestProxyUpstream(t *testing.T) {
	t.Parallel()
	w, v := startWitness(t, false), &via{}
	url := startVia(t, v, "tcp", "127.0.0.1:0")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	set := func(allow, upstream string) {
		t.Helper()
		if err := os.WriteFile(policy, []byte("allow: ['"+allow+"']\n"+upstream+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target := "origin.example:" + w.port
	set(target, "upstream: "+url)
	p, r := startProxy(t, "--policy", policy)
	if got, _ := tunnel(t, "tcp", r.Addr, target); got != "200" {
		t.Errorf("got %s, want 200", got)
	}
	for _, changed := range []string{"", "upstream: http://u:s3cret@127.0.0.1:1", "upstream: {url: '" + url + "', lookup: here}", "upstream: env"} {
		before := strings.Count(p.stderr.String(), "upstream has changed")
		set("other.example", changed)
		p.signal(syscall.SIGHUP)
		p.saysAgain("upstream has changed, which takes a restart", before)
		if got, _ := tunnel(t, "tcp", r.Addr, target); got != "200" {
			t.Errorf("%q: got %s, want 200 from the old policy", changed, got)
		}
		if got, _ := tunnel(t, "tcp", r.Addr, "other.example:"+w.port); got != "403" {
			t.Errorf("%q: got %s, want 403 from the old policy", changed, got)
		}
	}
	set("none.example", "upstream: {url: "+url+"}")
	p.signal(syscall.SIGHUP)
	p.says("policy reloaded")
	if got, _ := tunnel(t, "tcp", r.Addr, target); got != "403" {
		t.Errorf("got %s, want 403 from the new policy", got)
	}
	w.want(t, 5)
	if strings.Contains(p.stderr.String(), "s3cret") {
		t.Errorf("got stderr %q, want it without the password", p.stderr)
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGTERM)
	p.finish(0)
}

// saysAgain waits until standard error holds text more often than before.
func (p *proc) saysAgain(text string, before int) {
	p.t.Helper()
	for {
		got, more := p.stderr.get()
		if strings.Count(got, text) > before {
			return
		}
		select {
		case <-more:
		case <-time.After(patience):
			p.t.Fatalf("stderr does not say %q once more:\n%s", text, got)
		}
	}
}
