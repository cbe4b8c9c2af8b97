// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminal is a pty between the real terminal and the sandbox. A nil *terminal
// does nothing.
type terminal struct {
	real, out   *os.File // the real terminal, to read and to write
	near, far   *os.File // ours, and the command's
	stop, stopW *os.File // a pipe: closing stopW ends the reading of real
	pumping     sync.WaitGroup

	mu  sync.Mutex    // guards the following
	old *unix.Termios // of the real terminal, while it is raw
}

func openTerminal(s Session) (*terminal, error) {
	if s.Stdin == nil || !isTerminal(s.Stdin) {
		return nil, errors.New("bridge: the session's standard input is not a terminal")
	}
	near, far, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("bridge: open a pty: %w", err)
	}
	// pty.Open leaves it blocking, and Close would not end a Read.
	if err := unix.SetNonblock(int(near.Fd()), true); err != nil {
		return nil, errors.Join(fmt.Errorf("bridge: prepare the pty: %w", err), near.Close(), far.Close())
	}
	stop, stopW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bridge: open a pipe: %w", err), near.Close(), far.Close())
	}
	t := &terminal{real: s.Stdin, out: s.Stdin, near: near, far: far, stop: stop, stopW: stopW}
	for _, f := range []*os.File{s.Stderr, s.Stdout} {
		if f != nil && isTerminal(f) {
			t.out = f
		}
	}
	// The new terminal starts out as the real one is: its characters, its size.
	if old, err := unix.IoctlGetTermios(int(s.Stdin.Fd()), unix.TCGETS); err == nil {
		_ = unix.IoctlSetTermios(int(far.Fd()), unix.TCSETS, old)
	}
	t.resize()
	return t, nil
}

// raw has the real terminal pass every key on; restore undoes it.
func (t *terminal) raw() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old, err := unix.IoctlGetTermios(int(t.real.Fd()), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("bridge: read the terminal's mode: %w", err)
	}
	raw := *old // as cfmakeraw(3)
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(t.real.Fd()), unix.TCSETSW, &raw); err != nil {
		return fmt.Errorf("bridge: set the terminal's mode: %w", err)
	}
	t.old = old
	return nil
}

// restore gives the real terminal its old mode back.
func (t *terminal) restore() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.old != nil {
		_ = unix.IoctlSetTermios(int(t.real.Fd()), unix.TCSETSW, t.old)
		t.old = nil
	}
}

// resize gives the pty the size of the real terminal.
func (t *terminal) resize() {
	if t == nil {
		return
	}
	size, err := unix.IoctlGetWinsize(int(t.real.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return
	}
	// Not by near.Fd, which makes it blocking.
	if near, err := t.near.SyscallConn(); err == nil {
		_ = near.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
	}
}

// pump starts copying both ways. When the real terminal is gone, closing near hangs
// up on the command as well: one that ignores SIGHUP would otherwise wait for ever for
// keys, or for somebody to read what it writes.
func (t *terminal) pump() {
	if t == nil {
		return
	}
	t.pumping.Go(func() {
		defer t.near.Close()
		_, _ = io.Copy(t.out, t.near) // until the last writer is gone
	})
	t.pumping.Go(t.readKeys)
}

// readKeys copies what is typed. It never waits in a read, which could not be
// ended without taking a key that is meant for somebody else.
func (t *terminal) readKeys() {
	fds := []unix.PollFd{
		{Fd: int32(t.real.Fd()), Events: unix.POLLIN},
		{Fd: int32(t.stop.Fd()), Events: unix.POLLIN},
	}
	buf := make([]byte, 4096)
	for {
		if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil || fds[1].Revents != 0 {
			return
		}
		n, err := unix.Read(int(t.real.Fd()), buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n == 0 {
			if hungUp(t.real) {
				t.near.Close()
			}
			return
		}
		if _, err := t.near.Write(buf[:n]); err != nil {
			return
		}
	}
}

// drain waits until all output of the ended command is written, and closes the pty.
func (t *terminal) drain() {
	if t == nil {
		return
	}
	t.stopW.Close()
	t.far.Close()
	t.pumping.Wait()
	t.stop.Close()
}

// abandon closes a pty that no command was started on.
func (t *terminal) abandon() {
	if t == nil {
		return
	}
	for _, f := range []*os.File{t.near, t.far, t.stop, t.stopW} {
		f.Close()
	}
}

// hungUp reports whether nobody is on the other side of the terminal f any more.
func hungUp(f *os.File) bool {
	p := []unix.PollFd{{Fd: int32(f.Fd())}} // hang-ups are reported unasked
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// wantsTerminal leaves a terminal alone in whose background this process is:
// changing its mode would stop the process.
func wantsTerminal(stdin *os.File) bool {
	if stdin == nil || !isTerminal(stdin) {
		return false
	}
	foreground, err := unix.IoctlGetInt(int(stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}
