// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// ordinaryUser is a user id that nobody has: it needs no account.
const ordinaryUser = 54321

// TestAsOrdinaryUser runs the tests of this package again without privileges.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not needed: the tests run as an ordinary user already")
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), self, "-test.timeout=100s", "-test.run=^(TestSandbox|TestEntrances|TestSocket|TestSession|TestProbe)")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp", "HOME=/", "XDG_RUNTIME_DIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUser, Gid: ordinaryUser}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as user %d: %v\n%s", ordinaryUser, err, out)
	}
}

func TestSandboxInside(t *testing.T) {
	leak, err := unix.Dup(1) // without close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	host, err := namespace("net")
	if err != nil {
		t.Fatal(err)
	}
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		cmd := w.command(t, Sandbox{Mode: m, Port: 3128, Filter: w.filter}, self, "helper", "look")
		cmd.Env = append(os.Environ(), "NO_PROXY=10.0.0.0/8,169.254.169.254", "https_proxy=http://elsewhere:1", "MINE=1")
		out, err := cmd.Output()
		var s sight
		if err := errors.Join(err, json.Unmarshal(out, &s)); err != nil {
			t.Fatalf("look inside: %v\n%s", err, out)
		}
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			if got := strings.Trim(s.Status[set], "0"); got != "" {
				t.Errorf("%s = %s inside, want none", set, s.Status[set])
			}
		}
		if got := s.Status["NoNewPrivs"]; got != "1" {
			t.Errorf("NoNewPrivs = %q inside, want 1", got)
		}
		if len(s.Inherited) != 0 {
			t.Errorf("descriptors %v are inherited besides 0, 1 and 2", s.Inherited)
		}
		if s.NetNS == host {
			t.Error("the sandbox has the host's network namespace")
		}
		if !slices.Equal(s.Interfaces, []string{"lo"}) {
			t.Errorf("interfaces inside = %v, want lo only", s.Interfaces)
		}
		if s.SID != s.PID {
			t.Errorf("session of the command = %d, want its own, %d", s.SID, s.PID)
		}
		for name, writable := range s.Files {
			if writable {
				t.Errorf("%s can be opened for writing inside", name)
			}
		}
		checkEnv(t, s.Env)
	})
}

func checkEnv(t *testing.T, env []string) {
	t.Helper()
	for _, want := range []string{"HTTPS_PROXY=http://127.0.0.1:3128", "https_proxy=http://127.0.0.1:3128", "MINE=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("environment inside lacks %s: %q", want, env)
		}
	}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		// The policy of the test admits a loopback address.
		if strings.EqualFold(k, "NO_PROXY") && v != "" {
			t.Errorf("inside, %s, want it empty", kv)
		}
		if strings.Contains(strings.ToLower(k), "sallyport") {
			t.Errorf("inside, control variable %s is visible", kv)
		}
	}
}

func TestSandboxConnect(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		for _, tc := range []struct {
			name, want string
			argv       []string
		}{
			{"allowed", "200 hello\n", []string{"helper", "connect", w.origin}},
			{"denied name", "403\n", []string{"helper", "connect", "example.com:443"}},
			{"denied address", "403\n", []string{"helper", "connect", "169.254.169.254:80"}},
			{"host's loopback", "connection refused", []string{"helper", "dial", "tcp", w.origin}},
			{"elsewhere", "network is unreachable", []string{"helper", "dial", "tcp", "192.0.2.1:443"}},
			{"elsewhere, IPv6", "dial tcp", []string{"helper", "dial", "tcp", "[2001:db8::1]:443"}},
			{"datagram", "network is unreachable", []string{"helper", "dial", "udp", "192.0.2.1:53"}},
		} {
			cmd := w.command(t, Sandbox{Mode: m, Name: "box"}, append([]string{self}, tc.argv...)...)
			out, _ := cmd.CombinedOutput()
			if !strings.Contains(string(out), tc.want) {
				t.Errorf("%s: inside says %q, want %q", tc.name, out, tc.want)
			}
		}
		for range 3 { // one for each request above
			if r := <-w.records; r.Sandbox != "box" {
				t.Errorf("record of %s has sandbox %q, want box", r.Host, r.Sandbox)
			}
		}
	})
}

func TestSandboxStatus(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "bridge-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, text := range map[string]string{"nobang": "echo hi\n", "nosuch": "#!/nonexistent/interpreter\n"} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		for _, tc := range []struct {
			want int
			says string
			argv []string
		}{
			{0, "", []string{"true"}},
			{7, "", []string{"sh", "-c", "exit 7"}},
			{125, "", []string{"sh", "-c", "exit 125"}},
			{137, "", []string{"sh", "-c", "kill -KILL $$"}},
			{143, "", []string{"sh", "-c", "kill -TERM $$"}},
			{139, "", []string{"sh", "-c", "kill -SEGV $$"}},
			{127, "sallyport: no-such-command: command not found\n", []string{"no-such-command"}},
			{127, "sallyport: /no/such/file: no such file or directory\n", []string{"/no/such/file"}},
			{126, "sallyport: /etc/passwd: cannot be run: permission denied\n", []string{"/etc/passwd"}},
			{126, "sallyport: /tmp: cannot be run: is a directory\n", []string{"/tmp"}},
			{126, "cannot be run: exec format error\n", []string{dir + "/nobang"}},
			{126, "cannot be run: its interpreter or loader does not exist\n", []string{dir + "/nosuch"}},
		} {
			var stderr bytes.Buffer
			cmd := w.command(t, Sandbox{Mode: m}, tc.argv...)
			cmd.Stderr = &stderr
			_ = cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != tc.want || !strings.HasSuffix(stderr.String(), tc.says) {
				t.Errorf("%q: status %d, says %q; want %d, %q", tc.argv, got, &stderr, tc.want, tc.says)
			}
		}
	})
}

// TestSandboxConcurrent: each of many sandboxes has a namespace and a name of its own.
func TestSandboxConcurrent(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		const n = 20
		w := newWorld(t)
		var running sync.WaitGroup
		for i := range n {
			cmd := w.command(t, Sandbox{Mode: m, Name: fmt.Sprint(i), Port: 8080}, self, "helper", "connect", w.origin)
			running.Go(func() {
				if out, err := cmd.CombinedOutput(); err != nil || string(out) != "200 hello\n" {
					t.Errorf("sandbox %d: %v: %q", i, err, out)
				}
			})
		}
		running.Wait()
		seen := map[string]bool{}
		for range n {
			seen[(<-w.records).Sandbox] = true
		}
		if len(seen) != n {
			t.Errorf("records name %d sandboxes, want %d", len(seen), n)
		}
	})
}

// TestSandboxMaxConns: a sandbox that has a limit of its own keeps to it, and the others
// do not notice.
func TestSandboxMaxConns(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		for limit, want := range map[int]string{0: "200 hello\n", 1: "503\n", 2: "200 hello\n"} {
			out, err := w.command(t, Sandbox{Mode: m, MaxConns: limit}, self, "helper", "crowd", w.origin).CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("with a limit of %d the second connection: %v: %q, want %q", limit, err, out, want)
			}
		}
		h, _ := proxycore.NewHandle(proxycore.HandleConfig{Addr: netip.MustParseAddrPort("127.0.0.1:9")})
		defer h.Close()
		cmd, err := Sandbox{Mode: m, MaxConns: 1}.Command(t.Context(), h, "true")
		if err != nil {
			t.Fatal(err)
		}
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != ExitFailed || !strings.Contains(string(out), "cannot limit") {
			t.Errorf("a proxy that cannot do it: status %d, %q; want %d and the reason", cmd.ProcessState.ExitCode(), out, ExitFailed)
		}
	})
}

func TestSandboxLowPort(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		out, err := w.command(t, Sandbox{Mode: m, Port: 80}, "sh", "-c",
			`echo $HTTPS_PROXY; grep -h ^Cap /proc/self/status | tr -d '0\n'`).CombinedOutput()
		if want := "http://127.0.0.1:80\nCapInh:\tCapPrm:\tCapEff:\tCapBnd:\tCapAmb:\t"; err != nil || string(out) != want {
			t.Errorf("with port 80: %v: %q, want %q", err, out, want)
		}
	})
}

func TestSandboxCommandErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		s    Sandbox
		h    *proxycore.Handle
		argv string
		want string
	}{
		{"no handle", t.Context(), Sandbox{}, nil, "true", "handle is nil"},
		{"no command", t.Context(), Sandbox{}, w.Handle, "", "no command"},
		{"mode", t.Context(), Sandbox{Mode: "none"}, w.Handle, "true", `unknown sandbox mode "none"`},
		{"port", t.Context(), Sandbox{Port: 65536}, w.Handle, "true", "port 65536"},
		{"negative port", t.Context(), Sandbox{Port: -1}, w.Handle, "true", "port -1"},
		{"negative limit", t.Context(), Sandbox{MaxConns: -1}, w.Handle, "true", "limit of -1 connections"},
		{"too much to hide", t.Context(), Sandbox{Mode: UserNS, Hide: slices.Repeat([]string{"/etc/passwd"}, maxMessage/10)}, w.Handle, "true", "exceeds"},
		{"arguments", t.Context(), Sandbox{Mode: UserNS, BwrapArgs: []string{"--tmpfs", "/tmp"}}, w.Handle, "true", "mode is userns"},
		{"bad argument", t.Context(), Sandbox{BwrapArgs: []string{"--share-net"}}, w.Handle, "true", "--share-net"},
	} {
		cmd, err := tc.s.Command(tc.ctx, tc.h, tc.argv)
		if err == nil || !strings.Contains(err.Error(), tc.want) || cmd != nil {
			t.Errorf("%s: Command gives %v, error %v, want one with %q", tc.name, cmd, err, tc.want)
		}
	}
	if cmd, err := (Sandbox{}).Command(ended, w.Handle, "true"); err == nil && cmd.Run() == nil {
		t.Error("a command whose context had ended ran")
	}
}

// TestSandboxClosedHandle: no proxy, no command.
func TestSandboxClosedHandle(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		cmd := w.command(t, Sandbox{Mode: m}, "echo", "ran")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := cmd.Output()
		if err == nil || len(out) != 0 {
			t.Errorf("with a closed handle the command gives %q, %v, want an error and no output", out, err)
		}
	})
}

func TestSandboxBwrapArgs(t *testing.T) {
	t.Parallel()
	if _, err := Probe(t.Context(), Bwrap); err != nil {
		t.Skipf("not tested: %v", err)
	}
	for _, tc := range []struct {
		name   string
		args   []string
		script string
		want   string
	}{
		{"tmpfs", []string{"--tmpfs", "/tmp"}, "ls -A /tmp | wc -l", "0\n"},
		{"root", []string{"--ro-bind", "/", "/"}, "touch /tmp/x 2>/dev/null || echo read-only; echo x > /dev/null && echo null", "read-only\nnull\n"},
		{"environment", []string{"--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HTTPS_PROXY", "http://x"},
			"env | grep -c HTTPS_PROXY=http://127.0.0.1", "1\n"},
		{"directory", []string{"--chdir", "/usr"}, "pwd", "/usr\n"},
	} {
		out, err := newWorld(t).command(t, Sandbox{BwrapArgs: tc.args}, "sh", "-c", tc.script).CombinedOutput()
		if err != nil || string(out) != tc.want {
			t.Errorf("%s: %v: %q, want %q", tc.name, err, out, tc.want)
		}
	}
}
