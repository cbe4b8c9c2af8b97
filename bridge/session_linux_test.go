// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// screen is a terminal with somebody in front of it.
type screen struct {
	t    *testing.T
	near *os.File // the person's side
	tty  *os.File // what a program sees
	r    *bufio.Reader
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	near, tty, err := pty.Open()
	if err != nil {
		t.Skipf("not tested: no pty here: %v", err)
	}
	t.Cleanup(func() { near.Close(); tty.Close() })
	if err := pty.Setsize(near, &pty.Winsize{Rows: 33, Cols: 99}); err != nil {
		t.Fatal(err)
	}
	return &screen{t: t, near: near, tty: tty, r: bufio.NewReader(near)}
}

// expect reads lines until one has text in it.
func (s *screen) expect(text string) {
	s.t.Helper()
	var seen []string
	for {
		line, err := s.r.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if seen = append(seen, line); err != nil {
			s.t.Fatalf("screen shows %q, %v, want %q", seen, err, text)
		}
	}
}

func (s *screen) typeIn(keys string) {
	s.t.Helper()
	if _, err := s.near.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) mode() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

// run runs argv on the screen and returns a channel with its status.
func (s *screen) run(m Mode, signals <-chan os.Signal, argv ...string) <-chan int {
	s.t.Helper()
	cmd := newWorld(s.t).command(s.t, Sandbox{Mode: m, Terminal: true}, argv...)
	status := make(chan int, 1)
	go func() {
		session := Session{Stdin: s.tty, Stdout: s.tty, Stderr: s.tty, Terminal: true, Signals: signals}
		got, err := session.Run(cmd)
		if err != nil {
			s.t.Errorf("Run: %v", err)
		}
		status <- got
	}()
	return status
}

func TestSessionTerminal(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		s := newScreen(t)
		before := s.mode()
		status := s.run(m, nil, "sh", "-c", `
			trap 'echo interrupted; exit 9' INT
			stty size
			[ "$(tty)" != "`+s.tty.Name()+`" ] && echo another terminal
			(: < /dev/tty) && echo controlling
			read line; echo "read $line"
			echo ready; while :; do sleep 0.02; done`)
		s.expect("33 99")
		s.expect("another terminal")
		s.expect("controlling")
		s.typeIn("typed\r")
		s.expect("read typed")
		s.expect("ready")
		if s.mode() == before {
			t.Error("the real terminal is not in raw mode while the command runs")
		}
		s.typeIn("\x03")
		s.expect("interrupted")
		if got := <-status; got != 9 {
			t.Errorf("status = %d, want the trap's, 9", got)
		}
		if s.mode() != before {
			t.Error("the real terminal's mode is not restored")
		}
	})
}

// TestSessionJobControl: a shell inside can stop jobs and put them in the foreground.
func TestSessionJobControl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("not tested: no bash here")
	}
	forEachMode(t, func(t *testing.T, m Mode) {
		s := newScreen(t)
		status := s.run(m, nil, "bash", "--norc", "-c",
			`set -m; sh -c 'echo job; exec cat'; echo "stopped $?"; fg; echo "back $?"; exit 5`)
		s.expect("job")
		s.typeIn("\x1a")
		s.expect("stopped 148") // 128+SIGTSTP
		s.typeIn("\x04")
		s.expect("back 0")
		if got := <-status; got != 5 {
			t.Errorf("status = %d, want 5", got)
		}
	})
}

func TestSessionResize(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		s := newScreen(t)
		signals := make(chan os.Signal, 1)
		status := s.run(m, signals, "sh", "-c", `trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.02; done`)
		s.expect("ready")
		if err := pty.Setsize(s.near, &pty.Winsize{Rows: 12, Cols: 34}); err != nil {
			t.Fatal(err)
		}
		signals <- unix.SIGWINCH
		s.expect("12 34")
		if got := <-status; got != 4 {
			t.Errorf("status = %d, want 4", got)
		}
	})
}

// TestSessionPlain: without a terminal the session passes signals and files through.
func TestSessionPlain(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		signals := make(chan os.Signal, 1)
		cmd := newWorld(t).command(t, Sandbox{Mode: m}, "sh", "-c", `trap 'exit 6' TERM; echo up; while :; do sleep 0.02; done`)
		status := make(chan int, 1)
		go func() {
			got, err := Session{Stdout: w, Signals: signals}.Run(cmd)
			w.Close()
			if err != nil {
				t.Errorf("Run: %v", err)
			}
			status <- got
		}()
		if line, err := bufio.NewReader(r).ReadString('\n'); line != "up\n" {
			t.Fatalf("command says %q, %v", line, err)
		}
		signals <- unix.SIGTERM
		if got := <-status; got != 6 {
			t.Errorf("status = %d, want the trap's, 6", got)
		}
	})
}

// TestSessionEarlySignals: a signal that is there before the sandbox is reaches the command, and
// not the process that is about to make the sandbox.
func TestSessionEarlySignals(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		for _, sig := range []unix.Signal{unix.SIGQUIT, unix.SIGUSR1, unix.SIGTERM} {
			signals := make(chan os.Signal, 1)
			signals <- sig
			r, said, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			status, err := Session{Stderr: said, Signals: signals}.Run(w.command(t, Sandbox{Mode: m}, "sleep", "1000"))
			said.Close()
			text, _ := io.ReadAll(r)
			r.Close()
			if status != 128+int(sig) || err != nil || len(text) > 0 {
				t.Errorf("%v: got status %d, %v, and %q on standard error, want %d and nothing", sig, status, err, text, 128+int(sig))
			}
		}
	})
}

func TestSessionErrors(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if got, err := (Session{Stdin: null, Terminal: true}).Run(exec.Command("true")); got != ExitFailed || err == nil {
		t.Errorf("Run on a terminal that is none = %d, %v, want %d and an error", got, err, ExitFailed)
	}
	s := newScreen(t)
	before := s.mode()
	missing := exec.Command("/no/such/program")
	if got, err := (Session{Stdin: s.tty, Terminal: true}).Run(missing); got != ExitFailed || err == nil {
		t.Errorf("Run of what cannot be started = %d, %v, want %d and an error", got, err, ExitFailed)
	}
	if s.mode() != before {
		t.Error("the terminal's mode is not restored after a failed start")
	}
	if WantsTerminal(null) || WantsTerminal(nil) || WantsTerminal(s.tty) {
		t.Error("WantsTerminal is true for something that is not this process's own terminal")
	}
}
