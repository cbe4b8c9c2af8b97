// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// startTTY starts p on a terminal of 33 rows and 101 columns, whose other side
// are p.stdin and p.stdout; far stays open as the terminal's own file.
func (p *proc) startTTY() (far *os.File) {
	p.t.Helper()
	near, far, err := pty.Open()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := pty.Setsize(near, &pty.Winsize{Rows: 33, Cols: 101}); err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = far, far, far
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.stdin, p.stdout = near, bufio.NewReader(near)
	p.timer = time.AfterFunc(patience, func() {
		p.t.Errorf("sallyport %q did not end", p.cmd.Args[1:])
		_ = p.cmd.Process.Kill()
		near.Close()
	})
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		p.wait()
		near.Close()
		far.Close()
	})
	return far
}

// until reads terminal output up to a line with text in it.
func (p *proc) until(text string) {
	p.t.Helper()
	var all strings.Builder
	for {
		s, err := p.stdout.ReadString('\n')
		all.WriteString(s)
		if strings.Contains(s, text) {
			return
		}
		if err != nil {
			p.t.Fatalf("the terminal shows %q, want %q (%v)", all.String(), text, err)
		}
	}
}

// status waits for the end and checks the exit status.
func (p *proc) status(want int) {
	p.t.Helper()
	if got := p.wait(); got != want {
		p.t.Errorf("got status %d, want %d", got, want)
	}
	p.clean()
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c",
			`test -t 0 && test -t 1 && test -t 2 && stty size </dev/tty
			trap 'stty size' WINCH; echo up
			until read -r x; do :; done; echo "read $x"; stty -echo raw; exit 4`)
		far := p.startTTY()
		before, err := unix.IoctlGetTermios(int(far.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		p.until("33 101")
		p.until("up")
		if err := pty.Setsize(far, &pty.Winsize{Rows: 44, Cols: 99}); err != nil {
			t.Fatal(err)
		}
		p.until("44 99")
		fmt.Fprint(p.stdin, "typed\n")
		p.until("read typed")
		p.status(4)
		after, err := unix.IoctlGetTermios(int(far.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if *after != *before && mode != "none" {
			t.Errorf("the terminal's mode was not restored:\n got %+v\nwant %+v", *after, *before)
		}
	})
}

func TestTerminalInterrupt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", "echo up; exec cat")
		p.startTTY()
		p.until("up")
		fmt.Fprint(p.stdin, "\x03")
		p.status(130)
	})
}

// TestTerminalInterruptArrivesOnce: the terminal signals the whole process
// group, so whoever shares it with the command must not pass the signal on.
func TestTerminalInterruptArrivesOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		p := newProc(t, append([]string{"run", "--allow", "a.com", "--sandbox", mode, "--"}, self(t, "signals")...)...)
		p.startTTY()
		p.until("ready")
		fmt.Fprint(p.stdin, "\x03")
		p.until("interrupt")
		p.signal(syscall.SIGUSR1)
		line, err := p.stdout.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != syscall.SIGUSR1.String() {
			t.Errorf("got %q, %v behind the interrupt, want %q", line, err, syscall.SIGUSR1)
		}
		p.signal(syscall.SIGTERM)
		p.status(7)
	})
}

func TestTerminalSummary(t *testing.T) {
	t.Parallel()
	p := newProc(t, append([]string{"run", "--allow", "a.com", "--"}, self(t, "connect", "b.com:443")...)...)
	p.startTTY()
	p.until("403")
	p.until("1 request was denied")
	p.until("--allow b.com")
	p.status(0)
}

// TestTerminalHangup closes the terminal under a running command, which ends, too,
// unless it neither reads nor writes: not even one that ignores the signal is left waiting.
func TestTerminalHangup(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		for _, script := range []string{
			"echo up; exec cat",
			"trap '' HUP; echo up; read -r x; exit 1",
			"trap '' HUP; echo up; while echo more; do :; done 2>&-; exit 1",
		} {
			p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", script)
			far := p.startTTY()
			p.until("up")
			far.Close()
			p.stdin.Close()
			if got := p.wait(); got != 128+int(syscall.SIGHUP) && got != 0 && got != 1 {
				t.Errorf("%s: got status %d, want the end by the hangup or by the end of input", script, got)
			}
			p.clean()
		}
	})
}

func TestRunStopsAndContinues(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		const script = `echo up; while read -r x; do echo "$x"; done`
		p := newProc(t, "run", "--allow", "a.com", "--sandbox", mode, "--", "sh", "-c", script, t.Name())
		p.start()
		p.line()
		p.signal(syscall.SIGTSTP)
		stopped(t, p.cmd.Process.Pid)
		if mode != "none" { // there the terminal stops the command, and no terminal is involved here
			stopped(t, find(t, "sh", "-c", script, t.Name()))
		}
		p.signal(syscall.SIGCONT)
		fmt.Fprintln(p.stdin, "on")
		if got := p.line(); got != "on" {
			t.Errorf("got %q, want the command to go on", got)
		}
		p.finish(0)
	})
}

// stopped waits until a process is.
func stopped(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if state := stat[strings.LastIndexByte(string(stat), ')')+2]; state == 'T' {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("process %d is in state %c, want it stopped", pid, state)
		}
	}
}

// find returns the process with this very command line.
func find(t *testing.T, argv ...string) int {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil || string(data) != strings.Join(argv, "\x00")+"\x00" {
			continue // it may have ended meanwhile
		}
		var pid int
		if _, err := fmt.Sscanf(name, "/proc/%d/", &pid); err == nil {
			return pid
		}
	}
	t.Fatalf("no process %q", argv)
	return 0
}
