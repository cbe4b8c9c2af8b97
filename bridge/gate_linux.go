// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// gate is the host's side of one sandbox: it takes the listener that the
// process inside passes out and attaches it to the proxy until the sandbox ends,
// which it learns from the end of the control socket. The listener pins the
// sandbox's network namespace, so letting go of it is what frees that.
//
// The supervisor connects to the gate, rather than inherit a socket: nobody
// tells when an exec.Cmd has been started and its parent's copies can be closed,
// and until then the end of the child could not be seen.
type gate struct {
	h      *proxycore.Handle
	listen proxycore.Listening
	params params
	name   string // of the abstract socket where the supervisor connects
	door   *net.UnixListener
	over   chan struct{} // closed when run has returned

	mu     sync.Mutex // guards the following
	conn   *net.UnixConn
	killed bool
	opened chan struct{} // closed when the supervisor passes signals on
}

// gates maps the names of the gates that run to their opened channels. Session.Run, which
// has only the command, finds the one of its sandbox here.
var gates sync.Map

// awaitSupervisor returns when the supervisor that cmd started can pass signals on, as it tells
// its gate, or when over is closed. A signal that it got
// before that would end it in the way of the Go runtime instead of the command.
func awaitSupervisor(cmd *exec.Cmd, over <-chan struct{}) {
	if len(cmd.Args) < 3 {
		return
	}
	if opened, ok := gates.Load(cmd.Args[2]); ok {
		select {
		case <-opened.(chan struct{}):
		case <-over:
		}
	}
}

func newGate(h *proxycore.Handle, listen proxycore.Listening, p params) (*gate, error) {
	if _, err := encode(message{Params: &p}); err != nil { // the sandbox would wait for it in vain
		return nil, fmt.Errorf("bridge: tell the sandbox what to do: %w: hide directories rather than what is in them", inner{err})
	}
	name, err := unforeseeable()
	if err != nil {
		return nil, err
	}
	name = "@sallyport-" + name
	door, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: name, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("bridge: open the control socket: %w", err)
	}
	return &gate{
		h: h, listen: listen, params: p, name: name, door: door,
		over: make(chan struct{}), opened: make(chan struct{}),
	}, nil
}

// serve runs the gate. A child that is never started never connects, so until
// it has, the gate also ends with ctx and with the handle.
func (g *gate) serve(ctx context.Context) {
	gates.Store(g.name, g.opened)
	go func() {
		defer close(g.over)
		defer gates.Delete(g.name)
		g.run()
	}()
	go func() {
		select {
		case <-ctx.Done():
		case <-g.h.Done():
		case <-g.opened:
			return
		case <-g.over:
			return
		}
		g.abandon()
	}()
}

// abandon ends a gate whose child was not started; later it does nothing.
func (g *gate) abandon() { g.door.Close() }

// kill ends the sandbox: its supervisor sees the hang-up and kills it.
func (g *gate) kill() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.killed = true
	g.door.Close()
	if g.conn == nil {
		return nil
	}
	return g.conn.Close()
}

func (g *gate) run() {
	c, err := g.admit()
	g.door.Close()
	if err != nil {
		return
	}
	defer c.Close()
	if send(c, message{Params: &g.params}) != nil {
		return
	}
	// This comes before anything from inside, which cannot come earlier.
	m, fds, err := receiveFDs(c)
	if closeForeign(fds); err != nil || !m.Ready || len(fds) > 0 {
		return
	}
	close(g.opened)
	detach, err := serveEntrances(c, g.params.wish, g.h, g.listen)
	if err != nil {
		_ = send(c, message{Error: err.Error()}) // if it fails, the child sees the end
		awaitEnd(c)
		return
	}
	defer detach()
	if send(c, message{Attached: true}) != nil {
		return
	}
	awaitEnd(c)
}

// awaitEnd returns when the other end is closed, or says anything, which it must not.
func awaitEnd(c *net.UnixConn) {
	_, fds, _ := receiveFDs(c)
	closeForeign(fds)
}

// admit waits for the supervisor. It is of this user; others, who can see the
// name but nothing else, are turned away.
func (g *gate) admit() (*net.UnixConn, error) {
	for {
		c, err := g.door.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err != nil || uid != uint32(os.Geteuid()) {
			closeControl(c)
			continue
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.killed {
			c.Close()
			return nil, net.ErrClosed
		}
		g.conn = c
		return c, nil
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
