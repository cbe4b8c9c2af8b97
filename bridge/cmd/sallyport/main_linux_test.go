// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/bridge/internal/quit"
)

// asVar makes this test binary act as something else: the command itself, or
// one of the programs that run inside the sandbox.
const asVar = "SALLYPORT_TEST_AS"

// patience bounds every wait. It is reached only when something is broken.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	bridge.Init()
	as := os.Getenv(asVar)
	os.Unsetenv(asVar)
	if as != "sallyport" {
		quit.Release() // a test that hangs should print its stacks
	}
	switch as {
	case "":
		// With the race detector every process would sleep for a second before it ends.
		if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	case "sallyport":
		main()
	case "connect":
		connect(os.Args[1:])
	case "signals":
		printSignals()
	case "proxy":
		actAsProxy(os.Args[1:])
	case "impostor":
		impostor(os.Args[1], os.Args[2])
	case "download":
		download(os.Args[1], os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "no such role:", as)
		os.Exit(99)
	}
}

// connect asks the proxy of its environment for each target, prints the status
// code, and for a tunnel what the origin said first. With "hold" as the last argument it
// keeps the last tunnel until the origin ends it.
func connect(targets []string) {
	hold := targets[len(targets)-1] == "hold"
	if hold {
		targets = targets[:len(targets)-1]
	}
	for i, target := range targets {
		if err := connectOne(target, hold && i == len(targets)-1); err != nil {
			fmt.Println("error")
		}
	}
	os.Exit(0)
}

func connectOne(target string, hold bool) error {
	u, err := url.Parse(os.Getenv("HTTPS_PROXY"))
	if err != nil {
		return err
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return errors.New("no status line")
	}
	fmt.Println(fields[1])
	if fields[1] != "200" {
		return nil
	}
	for line != "\r\n" {
		if line, err = r.ReadString('\n'); err != nil {
			return err
		}
	}
	greeting, err := r.ReadString('\n')
	fmt.Print(greeting)
	if hold {
		_, err = io.Copy(io.Discard, r)
		fmt.Println("tunnel ended")
	}
	return err
}

// printSignals prints the name of every signal it gets; SIGTERM ends it.
func printSignals() {
	c := make(chan os.Signal, 16)
	signal.Notify(c, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM)
	fmt.Println("ready")
	for s := range c {
		fmt.Println(s)
		if s == syscall.SIGTERM {
			os.Exit(7)
		}
	}
}

// self returns the command line that runs this binary in a role.
func self(t *testing.T, role string, args ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"env", asVar + "=" + role, exe}, args...)
}

// proc is a running sallyport.
type proc struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *syncBuffer
	tmp    string // its TMPDIR and XDG_RUNTIME_DIR
	waited chan struct{}
	timer  *time.Timer // kills it when patience is over; stopped by its end
}

// syncBuffer is a bytes.Buffer for two goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	ch chan struct{} // closed and replaced at each write
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
	return b.b.Write(p)
}

func (b *syncBuffer) get() (string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String(), b.ch
}

func (b *syncBuffer) String() string { s, _ := b.get(); return s }

// newProc prepares sallyport with the given arguments.
func newProc(t *testing.T, args ...string) *proc {
	t.Helper()
	line := self(t, "sallyport", args...)
	p := &proc{t: t, cmd: exec.Command(line[0], line[1:]...), stderr: &syncBuffer{ch: make(chan struct{})}, tmp: t.TempDir(), waited: make(chan struct{})}
	p.cmd.Args = append([]string{"sallyport"}, args...)
	p.cmd.Path = line[2]
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.Contains(strings.ToUpper(kv), "PROXY")
	}), asVar+"=sallyport", "TMPDIR="+p.tmp, "XDG_RUNTIME_DIR="+p.tmp)
	return p
}

// start starts it with pipes; everything is reaped when the test ends.
func (p *proc) start() *proc {
	p.t.Helper()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = patience // what is left behind may hold standard error
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.timer = time.AfterFunc(patience, func() {
		p.t.Errorf("sallyport %q did not end, or left something behind that holds its output; stderr:\n%s", p.cmd.Args[1:], p.stderr)
		_ = p.cmd.Process.Kill()
		out.Close()
	})
	p.t.Cleanup(func() {
		p.stdin.Close()
		_ = p.cmd.Process.Kill()
		p.wait()
	})
	return p
}

// line reads one line of standard output.
func (p *proc) line() string {
	p.t.Helper()
	s, err := p.stdout.ReadString('\n')
	if err != nil {
		p.t.Fatalf("reading a line: got %q, %v; stderr:\n%s", s, err, p.stderr)
	}
	return strings.TrimSuffix(s, "\n")
}

// says waits until standard error holds text.
func (p *proc) says(text string) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		got, more := p.stderr.get()
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-more:
		case <-timeout:
			p.t.Fatalf("stderr does not say %q:\n%s", text, got)
		}
	}
}

func (p *proc) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("sending %v: %v", s, err)
	}
}

// rest reads standard output to its end, which comes when the last process
// that holds it is gone.
func (p *proc) rest() string {
	p.t.Helper()
	data, err := io.ReadAll(p.stdout)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		p.t.Errorf("reading stdout: %v", err)
	}
	return string(data)
}

// wait returns the exit status, -1 for the death by a signal.
func (p *proc) wait() int {
	select {
	case <-p.waited:
	default:
		_ = p.cmd.Wait()
		p.timer.Stop()
		close(p.waited)
	}
	return p.cmd.ProcessState.ExitCode()
}

// finish closes stdin, reads what is left and checks the exit status and that
// nothing stays behind.
func (p *proc) finish(status int) string {
	p.t.Helper()
	p.stdin.Close()
	out := p.rest()
	if got := p.wait(); got != status {
		p.t.Errorf("sallyport %q: got status %d, want %d; stderr:\n%s", p.cmd.Args[1:], got, status, p.stderr)
	}
	p.clean()
	return out
}

// clean checks that no file is left.
func (p *proc) clean() {
	p.t.Helper()
	left, err := filepath.Glob(filepath.Join(p.tmp, "*"))
	if err != nil || len(left) > 0 {
		p.t.Errorf("files left behind: %q, %v", left, err)
	}
}

// modes returns the sandbox modes that work here. One that does not is said so.
func modes(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, m := range []bridge.Mode{bridge.Bwrap, bridge.UserNS} {
		if _, err := bridge.Probe(t.Context(), m); err != nil {
			if os.Getenv("CI") != "" {
				t.Errorf("mode %s does not work: %v", m, err)
			}
			t.Logf("mode %s is not tested: %v", m, err)
			continue
		}
		found = append(found, string(m))
	}
	return append(found, "none")
}

// each runs a subtest in every mode.
func each(t *testing.T, f func(t *testing.T, mode string)) {
	t.Helper()
	eachOf(t, modes(t), f)
}

// eachSandbox runs a subtest in every mode that makes a sandbox.
func eachSandbox(t *testing.T, f func(t *testing.T, mode string)) {
	t.Helper()
	eachOf(t, slices.DeleteFunc(modes(t), func(mode string) bool { return mode == "none" }), f)
}

func eachOf(t *testing.T, modes []string, f func(t *testing.T, mode string)) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f(t, mode)
		})
	}
}
