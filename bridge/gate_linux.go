// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// gate is the host's side of one sandbox: it takes the listener that the
// process inside passes out and attaches it to the proxy until the sandbox ends,
// which it learns from the end of the control socket. The listener pins the
// sandbox's network namespace, so letting go of it is what frees that.
type gate struct {
	h      *proxycore.Handle
	listen proxycore.Listening
	conn   *net.UnixConn
	over   chan struct{} // closed when run has returned

	mu      sync.Mutex // guards the following
	child   []*os.File // the child's descriptors; nil once it has its own
	started chan struct{}
}

// newGate returns a gate and the file that the child must get as fdControl.
func newGate(h *proxycore.Handle, listen proxycore.Listening, p params) (*gate, *os.File, error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, nil, err
	}
	defer ours.Close() // FileConn duplicates it
	c, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("bridge: use control socket: %w", err)
	}
	g := &gate{
		h: h, listen: listen, conn: c.(*net.UnixConn),
		over: make(chan struct{}), started: make(chan struct{}),
		child: []*os.File{theirs},
	}
	if err := send(g.conn, message{Params: &p}); err != nil {
		g.conn.Close()
		theirs.Close()
		return nil, nil, err
	}
	return g, theirs, nil
}

// serve runs the gate. A child that is never started says nothing, ever, so
// until it has spoken the gate also ends with ctx and with the handle.
func (g *gate) serve(ctx context.Context) {
	go func() {
		defer close(g.over)
		g.run()
	}()
	go func() {
		select {
		case <-ctx.Done():
		case <-g.h.Done():
		case <-g.started:
			return
		}
		g.abandon()
	}()
}

func (g *gate) run() {
	defer g.conn.Close()
	defer g.childStarted()
	attached := false
	for {
		m, fds, err := receiveFDs(g.conn)
		switch {
		case err != nil || attached && m.Listener:
			closeAll(fds)
			return
		case m.Listener:
			detach, err := g.attach(fds)
			if err != nil {
				_ = send(g.conn, message{Error: err.Error()}) // if it fails, the child sees the end
				continue
			}
			defer detach()
			attached = true
			if send(g.conn, message{Attached: true}) != nil {
				return
			}
		default:
			closeAll(fds)
			g.childStarted()
		}
	}
}

// childStarted lets go of the child's descriptors, so that the socket ends when
// the child does.
func (g *gate) childStarted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.started:
		return
	default:
	}
	close(g.started)
	for _, f := range g.child {
		f.Close()
	}
	g.child = nil
}

// abandon ends a gate whose child was not started; later it does nothing.
func (g *gate) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.child != nil {
		g.conn.Close() // run does the rest
	}
}

// kill ends the sandbox: its supervisor sees the hang-up and kills it.
func (g *gate) kill() error { return g.conn.Close() }

// attach serves the one listener in fds through the proxy. It owns fds.
func (g *gate) attach(fds []int) (detach func(), err error) {
	if len(fds) != 1 {
		closeAll(fds)
		return nil, fmt.Errorf("bridge: sandbox passed %d descriptors instead of one listener", len(fds))
	}
	f := os.NewFile(uintptr(fds[0]), "sandbox listener")
	defer f.Close() // FileListener duplicates it
	if err := checkListener(fds[0]); err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("bridge: use the sandbox's listener: %w", err)
	}
	detach, err = g.h.Attach(l, g.listen)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("bridge: attach the sandbox to the proxy: %w", err)
	}
	return detach, nil
}

// checkListener makes sure that fd is a TCP socket that listens on 127.0.0.1
// in a network namespace that is not this process's. The process that
// passed it is ours, but what it says is checked like anything from inside.
func checkListener(fd int) error {
	for _, want := range []struct{ option, value int }{
		{unix.SO_DOMAIN, unix.AF_INET},
		{unix.SO_TYPE, unix.SOCK_STREAM},
		{unix.SO_PROTOCOL, unix.IPPROTO_TCP},
		{unix.SO_ACCEPTCONN, 1},
	} {
		if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, want.option); err != nil || got != want.value {
			return errors.New("bridge: sandbox passed something that is not a listening TCP socket")
		}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("bridge: ask the sandbox's listener for its address: %w", err)
	}
	if a, ok := sa.(*unix.SockaddrInet4); !ok || a.Addr != [4]byte{127, 0, 0, 1} {
		return errors.New("bridge: sandbox passed a socket that does not listen on 127.0.0.1")
	}
	return checkForeign(fd)
}

// checkForeign refuses a socket of this process's own network namespace. A kernel
// before 5.14 has no cookies; there the check that the init made must do.
func checkForeign(fd int) error {
	theirs, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if errors.Is(err, unix.ENOPROTOOPT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("bridge: find out the network namespace of the sandbox's listener: %w", err)
	}
	own, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bridge: find out this process's network namespace: %w", err)
	}
	defer unix.Close(own)
	ours, err := unix.GetsockoptUint64(own, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return fmt.Errorf("bridge: find out this process's network namespace: %w", err)
	}
	if ours == theirs {
		return errors.New("bridge: sandbox listens in the host's own network namespace: refused")
	}
	return nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
