// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// inherited is taken before this process can have opened a descriptor of its own.
var inherited = descriptors()

func descriptors() []string {
	if !isChild() {
		return nil
	}
	return probe.Descriptors()
}

func isChild() bool { return len(os.Args) > 1 && os.Args[1] == Argument }

func init() {
	if !isChild() {
		return
	}
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance: child:", err)
		status = 1
	}
	syscall.Exit(status) // os.Exit would sleep for a second in a binary built with -race
}

// process is this process of a child.
type process struct {
	Options
	to *line // the suite; nil when nobody watches
}

func run() (int, error) {
	o, err := parse(os.Args[2:])
	if err != nil {
		return 0, err
	}
	p := process{Options: o}
	if o.Do == fork {
		return 0, p.fork() // which is gone before anybody could be told of it
	}
	if o.Control != "" {
		if p.to, err = join(o.Control, o.role); err != nil {
			return 0, err
		}
	}
	p.terminate()
	switch o.Do {
	case Exit:
		fmt.Fprintln(os.Stderr, o.Words)
		return Status, nil
	case Mute:
		return p.obey()
	case Daemon:
		if o.role == roleMain {
			return 0, p.daemonize()
		}
		io.Copy(io.Discard, os.NewFile(passed+1, "the end of the first process"))
		return p.serve()
	case kin:
		return p.obey()
	case Deaf:
		return p.listen()
	}
	return p.serve()
}

// passed is the descriptor of a pipe that a further process closes once the suite knows of it.
const passed = 3

// terminate ends the process when it is asked to, or not.
func (p process) terminate() {
	if p.role != roleMain {
		os.NewFile(passed, "the one who waits").Close()
	}
	if p.Do == Stubborn || p.Do == kin {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		return
	}
	// The first process of a namespace only gets the signals it asks for.
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-asked
		syscall.Exit(0)
	}()
}

// serve is the proxy, once what comes before it is over.
func (p process) serve() (int, error) {
	port, err := strconv.Atoi(p.port)
	if err != nil {
		return 0, fmt.Errorf("the port is %q", p.port)
	}
	switch p.Do {
	case Outrun:
		if err := p.to.outrun(port); err != nil {
			return 0, err
		}
	case Late:
		<-time.After(LateBy)
	case Flood:
		pour()
	case Family:
		if err := p.spawn(); err != nil {
			return 0, err
		}
	}
	var f refproxy.Faults
	switch p.Do {
	case Open:
		f = refproxy.Faults{refproxy.AllowAll}
	case Exposed:
		f = refproxy.Faults{refproxy.ListensEverywhere}
	}
	_, err = refproxy.Start(refproxy.Options{Allow: p.Allow, Deny: p.Deny, Port: port, HeadTimeout: p.HeadTimeout, Faults: f})
	if err != nil && p.Do != Outrun {
		return 0, err
	}
	return p.obey()
}

// listen takes connections and answers none.
func (p process) listen() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:"+p.port)
	if err != nil {
		return 0, err
	}
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return p.obey()
}

// obey carries out what the suite says, until there is no suite any more.
func (p process) obey() (int, error) {
	if p.to == nil {
		select {}
	}
	for {
		switch said, err := p.to.hear(); {
		case err != nil:
			return 0, nil
		case said == Die:
			return 1, nil
		case said == Pour:
			pour()
			p.to.say(poured)
		}
	}
}

// pour says FloodBytes, on both streams by turns.
func pour() {
	text := append(bytes.Repeat([]byte("words "), 1000), '\n')
	for n := 0; n < FloodBytes; n += 2 * len(text) {
		os.Stderr.Write(text)
		os.Stdout.Write(text)
	}
}

// command prepares a further process of this child.
func (p process) command(o Options, files ...*os.File) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	o.Control, o.port, o.Extra = p.Control, p.port, nil
	cmd := exec.Command(self, o.Args()...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, files
	return cmd, nil
}

// spawn starts the further process of a Family and returns once the suite knows of it.
func (p process) spawn() error {
	o := Options{Do: kin, role: p.Kin}
	switch p.Kin {
	case Group, Session:
	case Orphan, Stray:
		o.Do, o.next = fork, kin
	default:
		return fmt.Errorf("unknown kin %q", p.Kin)
	}
	return p.known(o, p.Kin != Group)
}

// daemonize starts the daemon, which listens once this process is gone.
func (p process) daemonize() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(w) // which is for the kernel to close
	return p.known(Options{Do: fork, next: Daemon, role: Detached, Allow: p.Allow, Deny: p.Deny, HeadTimeout: p.HeadTimeout}, true, r)
}

// known starts a process and returns once the suite knows of it.
func (p process) known(o Options, leaves bool, more ...*os.File) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd, err := p.command(o, append([]*os.File{w}, more...)...)
	if err != nil {
		return err
	}
	if leaves {
		detach(cmd)
	}
	if err := errors.Join(cmd.Start(), w.Close()); err != nil {
		return err
	}
	if o.Do == fork {
		if err := cmd.Wait(); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// fork starts the next process, in a session of its own, with what it was itself passed.
func (p process) fork() error {
	files := []*os.File{os.NewFile(passed, "the one who waits")}
	if p.next == Daemon {
		files = append(files, os.NewFile(passed+1, "the end of the first process"))
	}
	o := p.Options
	o.Do, o.next = p.next, ""
	cmd, err := p.command(o, files...)
	if err != nil {
		return err
	}
	detach(cmd)
	if p.role == Stray {
		cmd.Env = []string{"PATH=/nowhere"}
	}
	return cmd.Start()
}
