// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// The command in a container reaches what the policy admits, is attributed, has no
// privilege, and takes its sandbox along when it ends.
func TestAttach(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{Name: "box"})
	if got := output(t, container(t, "attach", in.Path(), "", self, "helper", "connect", w.origin), 0); got != "200 hello\n" {
		t.Errorf("an allowed tunnel says %q", got)
	}
	if r := <-w.records; r.Sandbox != "box-1" || r.Decision != proxycore.DecisionAllow {
		t.Errorf("recorded as %q, %s", r.Sandbox, r.Decision)
	}
	if got := output(t, container(t, "attach", in.Path(), "", self, "helper", "connect", "example.com:443"), 0); got != "403\n" {
		t.Errorf("a tunnel that is not allowed says %q", got)
	}
	if r := <-w.records; r.Sandbox != "box-2" || r.Decision != proxycore.DecisionDeny {
		t.Errorf("recorded as %q, %s", r.Sandbox, r.Decision)
	}
	in.sandboxes(t, 0)

	cmd := container(t, "attach", in.Path(), "", self, "helper", "look")
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix:///run/docker.sock")
	var s sight
	if err := json.Unmarshal([]byte(output(t, cmd, 0)), &s); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
		"CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if s.Status[key] != want {
			t.Errorf("%s is %q, want %q", key, s.Status[key], want)
		}
	}
	if len(s.Inherited) > 0 || s.Files["/proc/1/mem"] || s.PID != s.SID {
		t.Errorf("the command inherits %v, can write /proc/1/mem: %v, is %d in session %d", s.Inherited, s.Files["/proc/1/mem"], s.PID, s.SID)
	}
	if slices.Contains(s.Env, "DOCKER_HOST=unix:///run/docker.sock") {
		t.Error("the command has a variable of the host's services")
	}
}

// A transparent container reaches by plain connections what the policy admits, under the
// policy of its socket, and is attributed.
func TestAttachTransparent(t *testing.T) {
	n := newInternet(t, "denied.test")
	w := &world{Handle: n.Handle}
	in := w.control(t, Admission{Name: "box", Filter: mustFilter(t, transparentPolicy...), Transparent: true})
	steps := []struct{ step, want string }{
		{"http tcp allowed.test:443", "93.184.216.34:443"},
		{"read tcp greets.test:22", "SSH 93.184.216.37:22"},
		{"read tcp denied.test:443", "no such host"},
		{"read tcp 93.184.216.36:443", "ECONNRESET"},
		{"read tcp allowed.test:8081", "ECONNRESET"},
		{"read udp allowed.test:443", "ECONNREFUSED"},
	}
	args := []string{"attach", in.Path(), "transparent", self, "helper", "visit"}
	for _, s := range steps {
		args = append(args, s.step)
	}
	got := strings.Split(output(t, container(t, args...), 0), "\n")
	for i, s := range steps {
		if i >= len(got) || got[i] != s.want {
			t.Errorf("%s: %q, want %q", s.step, got[min(i, len(got)-1)], s.want)
		}
	}
	if r := <-n.records; r.Sandbox != "box-1" || r.Method != "TCP" || r.Host != "allowed.test" {
		t.Errorf("recorded as %q, %s %s", r.Sandbox, r.Method, r.Host)
	}
	// The proxy's own policy is another, and a socket without one of its own has that.
	own := w.control(t, Admission{Transparent: true})
	if got := output(t, container(t, "attach", own.Path(), "transparent", self, "helper", "visit",
		"http tcp denied.test:443", "read tcp allowed.test:443"), 0); got != "93.184.216.36:443\nno such host\n" {
		t.Errorf("under the proxy's own policy: %q", got)
	}
	in.sandboxes(t, 0)
}

// Without CAP_NET_ADMIN a transparent container is refused, and told what it takes.
func TestAttachTransparentUnprivileged(t *testing.T) {
	n := newInternet(t, "allowed.test")
	in := (&world{Handle: n.Handle}).control(t, Admission{Transparent: true})
	if got := output(t, container(t, "attach", in.Path(), "transparent,powerless", "true"), ExitFailed); !strings.Contains(got, "CAP_NET_ADMIN") {
		t.Errorf("got %q", got)
	}
}

// Two sockets are two policies on one proxy, and no sandbox has the other's.
func TestAttachPolicies(t *testing.T) {
	w := newWorld(t)
	other, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	own, none := w.control(t, Admission{Name: "own"}), w.control(t, Admission{Name: "none", Filter: other})
	for _, tt := range []struct {
		in   *Admitting
		want string
	}{{own, "200 hello\n"}, {none, "403\n"}, {own, "200 hello\n"}} {
		if got := output(t, container(t, "attach", tt.in.Path(), "", self, "helper", "connect", w.origin), 0); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.in.Path(), got, tt.want)
		}
	}
	setFilter := func(in *Admitting, f *proxycore.Filter) {
		t.Helper()
		if err := in.SetFilter(f); err != nil {
			t.Error(err)
		}
	}
	setFilter(none, w.filter)
	if got := output(t, container(t, "attach", none.Path(), "", self, "helper", "connect", w.origin), 0); got != "200 hello\n" {
		t.Errorf("after SetFilter: got %q", got)
	}
	setFilter(none, nil) // the proxy's own
	if got := output(t, container(t, "attach", none.Path(), "", self, "helper", "connect", "example.com:443"), 0); got != "403\n" {
		t.Errorf("after SetFilter(nil): got %q", got)
	}
	// A sandbox that is there loses the tunnel that its socket's policy refuses now.
	setFilter(none, w.filter)
	cmd := container(t, "attach", none.Path(), "", self, "helper", "hold", w.origin)
	r := start(t, cmd)
	if line, err := r.ReadString('\n'); line != "200 hello\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	setFilter(own, other) // its policy was the same one, but is another socket's
	setFilter(none, other)
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}

func TestAttachStatus(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{})
	for _, tt := range []struct {
		argv   []string
		status int
		want   string
	}{
		{[]string{"sh", "-c", "exit 7"}, 7, ""},
		{[]string{"sh", "-c", "kill -9 $$"}, 128 + 9, ""},
		{[]string{"/nonexistent/command"}, ExitNotFound, "no such file"},
		{[]string{"no-such-command"}, ExitNotFound, "command not found"},
		{[]string{"/"}, ExitCannotRun, "cannot be run"},
		{[]string{"sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo up"}, 0, "up"},
	} {
		if got := output(t, container(t, append([]string{"attach", in.Path(), ""}, tt.argv...)...), tt.status); !strings.Contains(got, tt.want) {
			t.Errorf("%q: got %q, want %q in it", tt.argv, got, tt.want)
		}
	}
	in.sandboxes(t, 0)
}

// Signals reach the command, and what it leaves behind does not stay, where the parent
// is not process 1 either.
func TestAttachSignalsAndOrphans(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{})
	for _, first := range []bool{true, false} {
		mark := marker(t)
		cmd := container(t, "attach", in.Path(), "", "sh", "-c",
			"trap 'exit 9' TERM; ( sleep 1000 "+mark+" & ) ; echo up; while :; do sleep 0.01; done")
		if !first {
			cmd.SysProcAttr.Cloneflags &^= unix.CLONE_NEWPID
		}
		start(t, cmd)
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 9 {
			t.Errorf("process 1 %v: ended with %v, want status 9", first, err)
		}
		if !eventually(func() bool { return len(processes(t, mark)) == 0 }) {
			t.Errorf("process 1 %v: a process stays behind", first)
		}
	}
}

// A program can attach itself. The end of either side is the end of the network.
func TestAttachEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, in *Admitting, stdin io.Closer) error{
		"close":     func(_ *world, _ *Admitting, stdin io.Closer) error { return stdin.Close() },
		"admitting": func(_ *world, in *Admitting, _ io.Closer) error { return in.Close() },
		"proxy":     func(w *world, _ *Admitting, _ io.Closer) error { return w.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			in := w.control(t, Admission{})
			cmd := container(t, "hold", in.Path())
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, cmd)
			in.sandboxes(t, 1)
			if err := end(w, in, stdin); err != nil {
				t.Error(err)
			}
			want := "let go\n"
			if name == "close" {
				want = "closed\n"
			}
			rest, _ := io.ReadAll(r)
			if err := cmd.Wait(); err != nil || string(rest) != want {
				t.Errorf("the container says %q and ends with %v, want %q", rest, err, want)
			}
			in.sandboxes(t, 0)
			if name == "close" {
				return
			}
			if got := output(t, container(t, "attach", in.Path(), "", "true"), ExitFailed); !strings.Contains(got, "start the proxy first") {
				t.Errorf("a new sandbox is told %q", got)
			}
		})
	}
}

// Draining the proxy removes the socket, and leaves live tunnels.
func TestAttachDrain(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{})
	cmd := container(t, "attach", in.Path(), "", self, "helper", "hold", w.origin)
	r := start(t, cmd)
	if line, err := r.ReadString('\n'); line != "200 hello\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	drained := make(chan error, 1)
	go func() { drained <- w.Shutdown(ctx) }()
	if !eventually(func() bool { return !exists(in.Path()) }) {
		t.Error("the socket is there while the proxy drains")
	}
	in.sandboxes(t, 1)
	cut()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	_ = cmd.Wait()
	in.sandboxes(t, 0)
}

// Where there is a network, attach refuses; and where that is the proxy's own, the proxy does.
func TestAttachOtherNetwork(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{})
	outside := func(options string) *exec.Cmd {
		return exec.CommandContext(t.Context(), self, "container", "attach", in.Path(), options, "true")
	}
	if hasNetwork(t) {
		if got := output(t, outside(""), ExitFailed); !strings.Contains(got, "--network none") {
			t.Errorf("in a network: got %q", got)
		}
	}
	if got := output(t, outside("network"), ExitFailed); !strings.Contains(got, "host's own network namespace") {
		t.Errorf("in the host's network: got %q", got)
	}
}

func hasNetwork(t *testing.T) bool {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 })
}

// Where lo is down and may not be brought up, or nothing is at the path, the error says what to do.
func TestAttachRefuses(t *testing.T) {
	w := newWorld(t)
	in := w.control(t, Admission{})
	dir := t.TempDir()
	plain, err := net.Listen("unix", filepath.Join(dir, "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, socket, options string
		change                func(*syscall.SysProcAttr)
		want                  string
	}{
		{"nothing there", filepath.Join(dir, "x"), "", nil, "start the proxy first"},
		{"another socket", filepath.Join(dir, "plain"), "", nil, "no control socket"},
		{"a file", filepath.Join(dir, "file"), "", nil, "is gone; start it again"},
		{"long path", "/" + strings.Repeat("x", 200), "", nil, "choose a shorter one"},
		{"no such door", in.Path(), "windows", nil, `no door "windows"`},
		{"lo down", in.Path(), "", func(s *syscall.SysProcAttr) { s.AmbientCaps = nil; asNobody(s) }, "may not bring it up"},
		{"transparent where that is not offered", in.Path(), "transparent", nil, "start it with --transparent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := container(t, "attach", tt.socket, tt.options, "true")
			if tt.change != nil {
				tt.change(cmd.SysProcAttr)
			}
			if got := output(t, cmd, ExitFailed); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q in it", got, tt.want)
			}
		})
	}
}

// asNobody makes root another user; an ordinary user is one already.
func asNobody(s *syscall.SysProcAttr) {
	if os.Geteuid() == 0 {
		s.Credential = &syscall.Credential{Uid: 1000, Gid: 1000}
	}
}
