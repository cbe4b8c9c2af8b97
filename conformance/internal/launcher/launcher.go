// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package launcher is the suite's own launcher of proxy programs: the second opinion on what a launcher has to do,
// and the subject of the faults that the checks of the area EXTERNAL have to notice. It shares no code with any other
// launcher: where others look for the processes of a child, it puts them into a PID namespace, which the kernel ends
// as a whole.
//
// It is not made for use: it works on Linux only and needs the right to make a PID namespace, which a process in the
// fake Internet has.
package launcher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

const (
	// How long to wait before looking again whether the program listens; it doubles.
	firstPoll = 5 * time.Millisecond
	lastPoll  = 80 * time.Millisecond
	// grace is how long a child may take to end once it was asked to.
	grace = 200 * time.Millisecond
	// refused is a target no policy admits: an address of the last, reserved block.
	refused = "240.0.0.1:1"
	// answer is how long the program may take for that, if ctx leaves it so long.
	answer = 5 * time.Second
)

// Options is what a program is started with.
type Options struct {
	Path string
	Args []string // with "{port}"
	Port int      // 0 picks a free one
	Log  io.Writer
	// Faults are what the launcher does wrong.
	Faults refproxy.Faults
}

// Launched is a program that was started.
type Launched struct {
	o       Options
	addr    *net.TCPAddr
	child   *program
	scratch string
	done    chan struct{} // closed when the program has ended without being asked
	watched chan struct{} // closed when nobody watches any more; nil when nobody has
	front   *front        // of the fault TunnelsKept
	spare   *refproxy.Proxy

	once    sync.Once
	stopErr error
}

// Start starts the program and returns once it listens on the loopback interface, it and nobody else, and has refused
// what no policy admits. ctx limits the start. After an error nothing of the program is left.
func Start(ctx context.Context, o Options) (*Launched, error) {
	l := &Launched{o: o, done: make(chan struct{})}
	if err := l.start(ctx); err != nil {
		if l.leaks(ctx) {
			return nil, err
		}
		return nil, errors.Join(err, l.Stop(context.Background()))
	}
	l.watched = make(chan struct{})
	go l.watch()
	return l, nil
}

func (l *Launched) leaks(ctx context.Context) bool { return l.o.Faults.Has(Leaks) && ctx.Err() != nil }

func (l *Launched) start(ctx context.Context) error {
	f := l.o.Faults
	port, err := choosePort(l.o.Port, f)
	if err != nil {
		return err
	}
	l.addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	if l.scratch, err = os.MkdirTemp("", "launcher-"); err != nil {
		return err
	}
	if l.child, err = run(l.o, l.scratch, port); err != nil {
		if f.Has(FallsBack) {
			return l.fallBack()
		}
		return fmt.Errorf("launcher: %q cannot be started: %w", l.o.Path, err)
	}
	if f.Has(ReadyTooSoon) {
		return nil
	}
	if err := l.ready(ctx, port); err != nil {
		return err
	}
	if !f.Has(OpenAccepted) {
		if err := l.refuses(ctx); err != nil {
			return err
		}
	}
	if f.Has(TunnelsKept) {
		l.front, err = newFront(l.addr)
	}
	return err
}

// ready waits until the program listens.
func (l *Launched) ready(ctx context.Context, port int) error {
	wait := firstPoll
	tick := time.NewTimer(wait)
	defer tick.Stop()
	exited := l.child.exited
	if l.o.Faults.Has(WaitsForTheDead) {
		exited = nil
	}
	for {
		select {
		case <-exited:
			return fmt.Errorf("launcher: the program has ended before it listened (%s); it said: %s", l.child.status(), l.child.words())
		case <-ctx.Done():
			return fmt.Errorf("launcher: the program does not listen on port %d: %w", port, context.Cause(ctx))
		case <-tick.C:
		}
		// The kernel's tables take milliseconds to read, the more so when every process of a machine does it.
		wait = min(2*wait, lastPoll)
		tick.Reset(wait)
		if l.o.Faults.Has(ReadyOnConnect) {
			if c, err := net.Dial("tcp", l.addr.String()); err == nil {
				return c.Close()
			}
			continue
		}
		listens, err := l.child.listens(port)
		switch {
		case err != nil && !l.o.Faults.Has(ExposedAccepted):
			return err
		case listens || err != nil:
			return nil
		}
	}
}

// refuses asks for what has to be refused.
func (l *Launched) refuses(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.addr.String())
	if err != nil {
		return fmt.Errorf("launcher: the program does not answer: %w", err)
	}
	defer c.Close()
	end, _ := ctx.Deadline()
	c.SetDeadline(end)
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", refused, refused)
	r := probe.ReadResponse(bufio.NewReader(c), "CONNECT")
	if r.TimedOut() {
		<-ctx.Done()
	}
	if r.Status != 403 {
		return fmt.Errorf("launcher: asked for %s the program answers %s, want 403: it filters nothing", refused, r)
	}
	return nil
}

// Addr is where the program listens.
func (l *Launched) Addr() net.Addr {
	if l.front != nil {
		return l.front.l.Addr()
	}
	return l.addr
}

// Done is closed when the program has ended without being asked to.
func (l *Launched) Done() <-chan struct{} { return l.done }

// watch notices the end of the program.
func (l *Launched) watch() {
	defer close(l.watched)
	if l.child == nil {
		return
	}
	select {
	case <-l.child.exited:
	case <-l.child.stopping:
		return
	}
	f := l.o.Faults
	if f.Has(FallsOpen) {
		_ = l.fallBack()
	}
	if !f.Has(DeathUnseen) {
		close(l.done)
	}
}

// fallBack goes on without a filter, on the same port.
func (l *Launched) fallBack() (err error) {
	l.spare, err = refproxy.Start(refproxy.Options{Port: l.addr.Port, Faults: refproxy.Faults{refproxy.AllowAll}})
	return err
}

// Kill ends the program as its sudden death would.
func (l *Launched) Kill() {
	if l.child != nil {
		l.child.kill()
		<-l.child.exited
	}
}

// Stop ends the program and all it has started, and returns when nothing is left.
func (l *Launched) Stop(context.Context) error {
	l.once.Do(func() {
		if l.child != nil {
			l.child.stop()
		}
		if l.watched != nil {
			<-l.watched
		}
		if l.front != nil {
			l.front.close()
		}
		if l.spare != nil {
			l.stopErr = l.spare.Close()
		}
		if l.scratch != "" && !l.o.Faults.Has(ScratchKept) {
			l.stopErr = errors.Join(l.stopErr, os.RemoveAll(l.scratch))
		}
		giveBack(l.addr)
	})
	return l.stopErr
}

// taken are the ports of the programs that run, which a start at the same time must not choose.
var taken struct {
	sync.Mutex
	ports map[int]bool
}

// choosePort returns a port nobody listens on.
func choosePort(port int, f refproxy.Faults) (int, error) {
	taken.Lock()
	defer taken.Unlock()
	if taken.ports == nil {
		taken.ports = map[int]bool{}
	}
	if port == 0 && f.Has(OnePort) {
		return 31128, nil
	}
	if port != 0 && f.Has(ReadyOnConnect) {
		return port, nil
	}
	for {
		l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			return 0, fmt.Errorf("launcher: port %d: %w", port, err)
		}
		chosen := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, err
		}
		if !taken.ports[chosen] || port != 0 {
			taken.ports[chosen] = true
			return chosen, nil
		}
	}
}

func giveBack(addr *net.TCPAddr) {
	taken.Lock()
	defer taken.Unlock()
	if addr != nil {
		delete(taken.ports, addr.Port)
	}
}

// arguments puts the port in its place.
func arguments(args []string, port int) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.ReplaceAll(a, "{port}", strconv.Itoa(port))
	}
	return out
}
