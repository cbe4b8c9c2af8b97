// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// result is what one call of Main did.
type result struct {
	status         int
	stdout, stderr string
}

// call runs Main in this process with files as its streams. It is for what
// needs no signals and no sandbox.
func call(t *testing.T, args ...string) result {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	s := Streams{Stdin: open("stdin"), Stdout: open("stdout"), Stderr: open("stderr")}
	read := func(f *os.File) string {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	status := Main(s, args)
	return result{status, read(s.Stdout), read(s.Stderr)}
}

// write makes a file in a directory of its own and returns its name.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// expect compares a result with what is wanted: status, and parts of the
// outputs. A part "" means that the output must be empty.
func (r result) expect(t *testing.T, status int, stdout, stderr string) {
	t.Helper()
	if r.status != status {
		t.Errorf("got status %d, want %d", r.status, status)
	}
	for _, o := range []struct{ name, got, want string }{{"stdout", r.stdout, stdout}, {"stderr", r.stderr, stderr}} {
		if !strings.Contains(o.got, o.want) || o.want == "" && o.got != "" {
			t.Errorf("got %s %q, want %q in it", o.name, o.got, o.want)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string
	}{
		{"nothing", nil, 2, "", "Usage:\n"},
		{"help", []string{"help"}, 0, "sallyport run ", ""},
		{"--help", []string{"--help"}, 0, "sallyport run ", ""},
		{"-h", []string{"-h"}, 0, "sallyport run ", ""},
		{"help run", []string{"help", "run"}, 0, "--bwrap-arg", ""},
		{"run --help", []string{"run", "--help"}, 0, "Examples:\n", ""},
		{"run -h", []string{"run", "-h"}, 0, "Examples:\n", ""},
		{"proxy --help", []string{"proxy", "--help"}, 0, "--allow-remote", ""},
		{"check --help", []string{"check", "--help"}, 0, "--json", ""},
		{"version --help", []string{"version", "--help"}, 0, "sallyport version", ""},
		{"help of nothing known", []string{"help", "rum"}, 2, "", "did you mean run?"},
		{"help of help", []string{"help", "help"}, 0, "sallyport run ", ""},
		{"help of a command", []string{"help", "foo"}, 2, "", `no help for "foo"; there is help for run, proxy, attach, check, version` + "\n"},
		{"-v", []string{"-v"}, 0, "sallyport ", ""},
		{"-V", []string{"-V"}, 0, "sallyport ", ""},
		{"version", []string{"version"}, 0, "sallyport ", ""},
		{"--version", []string{"--version"}, 0, "sallyport ", ""},
		{"version with an argument", []string{"version", "x"}, 2, "", "no arguments"},
		{"misspelt subcommand", []string{"chekc"}, 2, "", `"chekc" is not a subcommand; did you mean check?`},
		{"command without run", []string{"curl", "x"}, 2, "", "write sallyport run ... -- curl"},
		{"option before the subcommand", []string{"--allow", "a.com", "run"}, 2, "", "--allow stands before the subcommand"},
		{"run: unknown option", []string{"run", "--alow", "a.com", "--", "true"}, 125, "", "did you mean --allow?"},
		{"proxy: unknown option", []string{"proxy", "--lisen", "x"}, 2, "", "did you mean --listen?"},
		{"check: unknown option", []string{"check", "--jsn"}, 2, "", "did you mean --json?"},
		{"unknown option like no other", []string{"check", "--zzzzzz"}, 2, "", "unknown flag: --zzzzzz\n"},
		{"unknown short option", []string{"check", "-q"}, 2, "", "unknown shorthand"},
		{"option without its value", []string{"check", "--allow"}, 2, "", "--allow"},
		{"empty pattern", []string{"check", "--allow", ""}, 2, "", "an empty pattern"},
		{"empty pattern in a list", []string{"check", "--allow", "a.com,,b.com"}, 2, "", "an empty pattern"},
		{"file in a list", []string{"check", "--allow", "a.com,@f"}, 2, "", "write --allow @f as an option of its own"},
		{"file without a name", []string{"check", "--deny", "@"}, 2, "", "@ must be followed"},
		{"resolve without a name", []string{"check", "--resolve", "10.0.0.1"}, 2, "", "write NAME=ADDR"},
		{"resolve without an address", []string{"check", "--resolve", "a.com=b.com"}, 2, "", "is not an IP address"},
		{"resolve with stray brackets", []string{"check", "--resolve", "a.com=]10.0.0.1["}, 2, "", "is not an IP address"},
		{"resolve for an address", []string{"check", "--resolve", "10.0.0.1=10.0.0.2"}, 2, "", "is not a host name"},
		{"resolve twice", []string{"check", "--resolve", "a.com=10.0.0.1", "--resolve", "A.com=10.0.0.2"}, 2, "", "a.com is pinned twice"},
		{"list file without a name", []string{"check", "--allow", "@"}, 2, "", "@ must be followed by the name of a file"},
		{"policy without a name", []string{"check", "--policy", ""}, 2, "", "--policy has an empty value; "},
		{"second policy without a name", []string{"check", "--policy", "/dev/null", "--policy="}, 2, "", "--policy has an empty value; "},
		{"log without a name", []string{"run", "--log", "", "--", "true"}, 125, "", "--log has an empty value; "},
		{"proxy: log without a name", []string{"proxy", "--log="}, 2, "", "--log has an empty value; "},
		{"proxy: socket without a name", []string{"proxy", "--socket", ""}, 2, "", "--socket has an empty value; "},
		{"proxy: listen without a value", []string{"proxy", "--listen", ""}, 2, "", "--listen has an empty value; "},
		{"sandbox without a value", []string{"run", "--sandbox", "", "--", "true"}, 125, "", "--sandbox has an empty value; "},
		{"empty command", []string{"run", "--", ""}, 125, "", "the command is an empty word"},
		{"empty command with arguments", []string{"run", "--sandbox", "none", "--", "", "x"}, 125, "", "the command is an empty word"},
		{"missing policy file", []string{"check", "--policy", "/nonexistent/p.yaml"}, 2, "", "/nonexistent/p.yaml: cannot be opened"},
		{"missing list file", []string{"check", "--allow", "@/nonexistent/l"}, 2, "", "/nonexistent/l: cannot be opened"},
		{"proxy with a command", []string{"proxy", "--", "curl"}, 2, "", "takes no arguments"},
		{"proxy with nothing to listen on", []string{"proxy", "--listen", "none"}, 2, "", "needs --socket"},
		{"proxy for everybody", []string{"proxy", "--listen", "0.0.0.0:0"}, 2, "", "--allow-remote"},
		{"proxy: control twice", []string{"proxy", "--control", "/x/a", "--control", "/x//a=/dev/null"}, 2, "", "/x//a is there twice"},
		{"proxy: control without a policy", []string{"proxy", "--control", "/x/a="}, 2, "", "is not PATH or PATH=POLICYFILE"},
		{"proxy: control without a path", []string{"proxy", "--control", "=/x"}, 2, "", "is not PATH or PATH=POLICYFILE"},
		{"proxy: control with a missing policy", []string{"proxy", "--control", "/x/a=/nonexistent/p.yaml"}, 2, "", "/nonexistent/p.yaml: cannot be opened"},
		{"proxy: no user", []string{"proxy", "--control", "/x/a", "--control-uid", "me"}, 2, "", `--control-uid "me" is not a user id`},
		{"proxy: users of nothing", []string{"proxy", "--control-uid", "1"}, 2, "", "name one with --control PATH"},
		{"proxy: transparent for nothing", []string{"proxy", "--transparent"}, 2, "", "name one with --control PATH"},
		{"proxy: control in no directory", []string{"proxy", "--control", "/nonexistent/a"}, 1, "", "make its directory first"},
		{"proxy: nobody", []string{"proxy", "--control", "/x/a", "--control-limit", "0"}, 2, "", "--control-limit 0 admits nobody"},
		{"attach without a socket", []string{"attach", "--", "true"}, 125, "", "write --socket PATH"},
		{"attach without a command", []string{"attach", "--socket", "/x/a"}, 125, "", "no command; write it at the end"},
		{"attach with an empty command", []string{"attach", "--socket", "/x/a", ""}, 125, "", "the command is an empty word"},
		{"attach with no such door", []string{"attach", "--socket", "/x/a", "--allow-weaker", "networks", "true"}, 125, "", "did you mean network?"},
		{"attach with a policy", []string{"attach", "--allow", "a.com", "true"}, 125, "", "--allow is an option of sallyport run"},
		{"help attach", []string{"help", "attach"}, 0, "--network none", ""},
		{"proxy that explains", []string{"proxy", "--explain"}, 2, "", "--explain is an option of sallyport run"},
		{"transparent without a sandbox", []string{"run", "--sandbox", "none", "--transparent", "--", "true"}, 125, "", "--transparent: means nothing with --sandbox none"},
		{"doors without a sandbox", []string{"run", "--sandbox", "none", "--allow-weaker", "netlink", "--host-socket", "/x", "--explain"}, 125, "", "--allow-weaker, --host-socket, --explain: means nothing"},
		{"no such door", []string{"run", "--allow-weaker", "unix-socket", "--", "true"}, 125, "", `"unix-socket" is no door; did you mean unix-sockets?`},
		{"nothing like a door", []string{"run", "--allow-weaker", "io-uring,zzz", "--", "true"}, 125, "", `"zzz" is no door; the doors are unix-sockets, `},
		{"empty door", []string{"run", "--allow-weaker=", "--", "true"}, 125, "", `"" is no door; `},
		{"relative host socket", []string{"run", "--host-socket", "agent.sock", "--", "true"}, 125, "", "--host-socket agent.sock is a relative path"},
		{"empty host socket", []string{"run", "--host-socket", "", "--", "true"}, 125, "", "--host-socket has an empty value"},
		{"proxy with an option of run", []string{"proxy", "--sandbox", "none"}, 2, "", "--sandbox is an option of sallyport run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call(t, tt.args...).expect(t, tt.status, tt.stdout, tt.stderr)
		})
	}
}

// TestHelpToFullDisk: the status is that of a failure of the subcommand asked for.
func TestHelpToFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	defer full.Close()
	for _, tt := range []struct {
		args   string
		status int
	}{{"run --help", 125}, {"help run", 2}, {"help", 2}, {"check --help", 2}, {"version", 2}} {
		stderr, err := os.Create(write(t, "stderr", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer stderr.Close()
		if got := Main(Streams{Stdin: os.Stdin, Stdout: full, Stderr: stderr}, strings.Fields(tt.args)); got != tt.status {
			t.Errorf("%s: got status %d, want %d", tt.args, got, tt.status)
		}
	}
}

func TestHelpFits(t *testing.T) {
	t.Parallel()
	for _, c := range subcommands() {
		for i, line := range strings.Split(c.text(c.flags().flagSet()), "\n") {
			if len([]rune(line)) > 110 || strings.Contains(line, "%FLAGS%") {
				t.Errorf("help of %s, line %d: %q", c.name, i+1, line)
			}
		}
	}
}

func TestVersionLine(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}}}
	if got, want := versionLine(info), "sallyport v1.2.3 0123456789ab+modified go"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
	if got, want := versionLine(&debug.BuildInfo{}), "sallyport (devel) go"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
}

func TestFlatten(t *testing.T) {
	t.Parallel()
	a, b := errors.New("a"), errors.New("b")
	joined := errors.Join(errors.Join(a), errors.Join(a, b))
	if got := fmt.Sprint(flatten(joined)); got != "[a a b]" {
		t.Errorf("got %s, want [a a b]", got)
	}
	wrapped := fmt.Errorf("%w and %w", a, b)
	if got := fmt.Sprint(flatten(wrapped)); got != "[a and b]" {
		t.Errorf("got %s, want [a and b]", got)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"allow", "deny", "sandbox", "log"}
	for word, want := range map[string]string{
		"alow": "allow", "allows": "allow", "sand": "sandbox", "dney": "deny", "l": "", "zzz": "", "": "",
		strings.Repeat("allow", 20): "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestListenAt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value  string
		remote bool
		want   listenAddr
		err    string // "" if none
	}{
		{"127.0.0.1:0", false, listenAddr{"127.0.0.1", 0}, ""},
		{"127.9.9.9:65535", false, listenAddr{"127.9.9.9", 65535}, ""},
		{"[::1]:8080", false, listenAddr{"::1", 8080}, ""},
		{"localhost:80", false, listenAddr{"127.0.0.1", 80}, ""},
		{"none", false, listenAddr{"", -1}, ""},
		{"0.0.0.0:80", true, listenAddr{"0.0.0.0", 80}, ""},
		{"0.0.0.0:80", false, listenAddr{}, "--allow-remote"},
		{"[::]:80", false, listenAddr{}, "--allow-remote"},
		{"192.0.2.1:80", false, listenAddr{}, "--allow-remote"},
		{"[::ffff:192.0.2.1]:80", false, listenAddr{}, "--allow-remote"},
		{":8080", true, listenAddr{}, "has no address; write 127.0.0.1:8080"},
		{"8080", false, listenAddr{}, "is not ADDR:PORT"},
		{"", false, listenAddr{}, "is not ADDR:PORT"},
		{"127.0.0.1", false, listenAddr{}, "is not ADDR:PORT"},
		{"127.0.0.1:", false, listenAddr{}, "the port is not a number"},
		{"127.0.0.1:+80", false, listenAddr{}, "the port is not a number"},
		{"127.0.0.1:65536", false, listenAddr{}, "the port is not a number"},
		{"127.0.0.1:http", false, listenAddr{}, "the port is not a number"},
		{"example.com:80", true, listenAddr{}, "is not an IP address"},
	} {
		t.Run(tt.value, func(t *testing.T) {
			t.Parallel()
			got, err := listenAt(tt.value, tt.remote)
			if tt.err == "" && (err != nil || got != tt.want) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, %v, want an error with %q", got, err, tt.err)
			}
		})
	}
}

func TestComplain(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	complain(&b, errors.Join(errors.New("bridge: one"), errors.New("proxycore: two"), errors.New("three: bridge: four")))
	if got, want := b.String(), "sallyport: one\nsallyport: two\nsallyport: three: bridge: four\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
