// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// pathWitness is a socket of the host that counts who comes. It needs no goroutine: who has connected stands in its
// queue when the one who did so has ended.
type pathWitness struct {
	fd       int
	datagram bool
}

// listenPath makes one at path, of a kind by its name in package net; an ABI's name stands for a stream.
func listenPath(x *check.X, path, network string) *pathWitness {
	kind := unix.SOCK_STREAM
	switch network {
	case "unixpacket":
		kind = unix.SOCK_SEQPACKET
	case "unixgram":
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		x.Defer(func() { unix.Close(fd) })
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil && kind != unix.SOCK_DGRAM {
		err = unix.Listen(fd, 16)
	}
	if err != nil {
		x.Abort("a socket outside, at %s: %v", path, err)
	}
	return &pathWitness{fd: fd, datagram: kind == unix.SOCK_DGRAM}
}

// came is how many connections or datagrams there were since it was asked before.
func (w *pathWitness) came(x *check.X) int {
	for n := 0; ; n++ {
		fd, err := -1, error(nil)
		if w.datagram {
			_, _, err = unix.Recvfrom(w.fd, make([]byte, 64), 0)
		} else if fd, _, err = unix.Accept4(w.fd, unix.SOCK_CLOEXEC); err == nil {
			unix.Close(fd)
		}
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n
		case err != nil:
			x.Abort("asking who came: %v", err)
		}
	}
}

// keys puts a key into a session of this thread's own and starts the sandbox from it.
func keys(x *check.X) {
	p := x.Core() // which must not belong to this thread
	name, secret := "egress-conformance:"+rand.Text(), rand.Text()
	runtime.LockOSThread() // for good: the thread ends with the check, and the session with the thread
	// An anonymous session, for which unix.KeyctlJoinSessionKeyring has no word.
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0)
	if err == nil {
		_, err = unix.AddKey("user", name, []byte(secret), unix.KEY_SPEC_SESSION_KEYRING)
	}
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // no keys in the kernel, or for a container
		x.Line("Control", "there are no keys outside either: %v", err)
	case err != nil:
		x.Abort("a key outside: %v", err)
	}
	action := probe.Action{Do: "key", Address: name, Text: secret, Apart: true}
	if err == nil {
		if r := outside(x, nil, action)[0]; !r.Done {
			x.Abort("the probe does not read the key outside of the sandbox: %s", r.Detail)
		}
		x.Line("Control", "the probe reads the key outside")
	}
	r := ask(x, p, action).Results[0]
	x.Line("Got", "inside: %s", r.Detail)
	if r.Done {
		x.Note(oracle.Sandbox, "a key of the launcher's session was read inside")
	}
}

// pseudoTerminal is a terminal whose keyboard and screen belong to the suite.
type pseudoTerminal struct {
	keyboard, user *os.File

	mu     sync.Mutex
	screen bytes.Buffer // guarded by mu
	over   chan struct{}
}

func newTerminal() (*pseudoTerminal, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	t := &pseudoTerminal{keyboard: os.NewFile(uintptr(fd), "/dev/ptmx"), over: make(chan struct{})}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, errors.Join(err, t.keyboard.Close())
	}
	user, _, errno := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, errors.Join(errno, t.keyboard.Close())
	}
	t.user = os.NewFile(user, "terminal")
	go t.watch()
	return t, nil
}

func (t *pseudoTerminal) watch() {
	defer close(t.over)
	buf := make([]byte, 1024)
	for {
		n, err := t.keyboard.Read(buf)
		t.mu.Lock()
		t.screen.Write(buf[:n])
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// end closes the terminal and returns what its screen has shown: the kernel shows what is typed, whoever types.
func (t *pseudoTerminal) end() string {
	t.user.Close() // after the last user, reading ends with EIO, once everything was read
	<-t.over
	t.keyboard.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.String()
}

// ownTerminal has a command begin a session that its standard input, a terminal, controls.
func ownTerminal(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = true, true, 0
	cmd.SysProcAttr.Setpgid = false // who begins a session begins a group, and may not do so twice
}

// terminal starts the sandbox as somebody at a terminal does, and types from inside. What was typed, the terminal shows.
func terminal(x *check.X) {
	p := x.Core()
	typed := "echo typed-" + rand.Text()
	action := probe.Action{Do: "type", Text: typed}
	shown := func(run func(*os.File) probe.Result) (probe.Result, bool) {
		t, err := newTerminal()
		if err != nil {
			x.Abort("a terminal: %v", err)
		}
		r := run(t.user)
		return r, strings.Contains(t.end(), typed)
	}
	r, came := shown(func(f *os.File) probe.Result { return outside(x, f, action)[0] })
	x.Line("Control", "outside: %s; shown: %v", r.Detail, came) // a kernel may forbid it to everybody
	action.Apart = true
	r, came = shown(func(f *os.File) probe.Result { return askAt(x, p, f, action) })
	x.Line("Got", "inside: %s; shown: %v", r.Detail, came)
	if came {
		x.Note(oracle.Sandbox, "the caller's terminal was typed into from inside")
	}
}

// askAt asks the probe inside one thing, at a terminal.
func askAt(x *check.X, p *check.Proxy, user *os.File, a probe.Action) probe.Result {
	cmd, err := p.Probe(x.Ctx, probe.OpReport, script(x, []probe.Action{a}))
	if err != nil {
		x.Fail(oracle.Process, "%v", err)
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = user, &out
	ownTerminal(cmd)
	err = cmd.Run()
	r, bad := parseReport(out.Bytes(), 1)
	if bad != nil {
		x.Fail(oracle.Process, "at a terminal: %v", errors.Join(err, bad))
	}
	return r.Results[0]
}
