// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package relay carries bytes between the two connections of a tunnel.
//
// Each direction ends on its own: the end of one side's stream becomes a
// half-close of the other, and the opposite direction goes on. A reset on one
// side becomes a reset on the other, so that a cut-off stream is never taken
// for a complete one.
//
// # How, and why so
//
// On Linux a tunnel between TCP and Unix stream connections is a flow: its two
// descriptors belong to a loop, one goroutine for each processor, which waits in an
// epoll instance of its own and moves the bytes of all its flows. A goroutine for
// each direction would move them as fast, but two stacks and two entries in Go's
// network poller are most of what an idle tunnel costs, and idle is what most
// tunnels are most of the time. The flow takes duplicates of the descriptors and
// closes the connections, because Go's poller would otherwise go on being woken for
// each byte that it is not concerned with.
//
// Few bytes are read and written. Where more comes than fits the buffer, they are
// moved inside the kernel (splice), through a pipe that is taken when there is
// something to read and given back when it is drained. So an idle flow
// holds two descriptors, and neither pipe nor buffer; the pipes themselves are closed
// after a second in which none was taken.
//
// A flow is locked while a loop or [Tunnel.Close] is at work on it. What epoll says
// is only a hint that reading or writing is worth trying: whatever happens to a
// connection is learned from the system calls on it.
//
// All other tunnels have a goroutine for each direction: connections of another
// type (TLS), those that somebody else may close (Options.Shared), and other
// systems. Between descriptors, bytes are spliced or copied there, too, with a pipe
// or buffer that is taken once there is something to read. With nothing but the
// methods of net.Conn, each direction holds a buffer.
//
// What the relay itself listens for and dials ([Listener], [Dial]) is watched by a loop
// from the start, and its descriptor passes to the flow as it is. Whoever wants to may
// have a loop do all of a tunnel's set-up ([Acceptor], [Prompt], [Begin]), as long as
// nothing waits: starting a goroutine, and a thread to run it, costs more than what a
// proxy does. For the same reason the system calls of a loop do not tell Go's scheduler
// (calls_linux.go), and both connections of a tunnel are with the same loop.
//
// A connection whose orderly end may have to wait for its peer (TLS) should have
// the method Cut(reset bool), which ends it at once. With reset the peer must not
// be told that the stream is complete.
//
// With the build tag noepoll Linux does without loops, as other systems do, so that
// their form can be tested where the tests of what they are used for run.
//
// The package knows nothing of proxies: no policy, no protocol, no log.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

var (
	// ErrIdle is the end of a tunnel that outlived Options.IdleTimeout.
	ErrIdle = errors.New("relay: no byte either way within the idle limit")
	// ErrTotal is the end of a tunnel that outlived Options.TotalTimeout.
	ErrTotal = errors.New("relay: the tunnel reached its total time limit")
)

// Options says how one tunnel is relayed. The zero value relays without limits.
type Options struct {
	// Prefix is what the client sent before Run took over; it is delivered to
	// the upstream first and counted. Run keeps it until it is delivered.
	Prefix []byte
	// DownPrefix is the same for the other direction: what the upstream sent
	// before Run took over, delivered to the client first.
	DownPrefix []byte
	// IdleTimeout ends the tunnel after so long without a byte either way.
	// Zero and negative mean never.
	IdleTimeout time.Duration
	// TotalTimeout ends the tunnel that long after Run began. Zero and negative
	// mean never.
	TotalTimeout time.Duration

	// Shared says that somebody else holds the connections, too, and may close one
	// of them to end the tunnel, which then needs two goroutines.
	Shared bool

	// Prompt says that what [Tunnel.Start] is given waits for nothing, so that a loop may
	// call it.
	Prompt bool

	// form lets the tests run every form on one system.
	form form
}

// form is one way of moving bytes.
type form int

const (
	formBest      form = iota // the best this system and these connections have
	formGoroutine             // never a loop
	formBuffer                // never splice either
	formPortable              // Read and Write of net.Conn only
)

// Stats is the account of one tunnel.
type Stats struct {
	// Up and Down count the bytes accepted by the upstream's and the client's
	// socket, the prefixes included.
	Up, Down int64
	// Err is nil when both directions reached the end of their stream. Otherwise
	// it is what ended the tunnel first: ErrIdle, ErrTotal, an error that wraps
	// net.ErrClosed when somebody else closed a connection, or an I/O error.
	Err error
}

// PanicError is the end of a tunnel in which a connection of a foreign type
// panicked.
type PanicError struct {
	// Value is what it panicked with.
	Value any
	// Stack is where.
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string {
	return fmt.Sprintf("relay: panic: %v [in the relay]\n%s", e.Value, e.Stack)
}

// Keep has the relay keep what all tunnels of the process share, a few goroutines
// and descriptors, until release is called, so that it need not be made anew for
// each tunnel. Without tunnels and callers of Keep nothing is left of it.
func Keep() (release func()) { return keep() }

// Listener takes l over and returns a listener that accepts the same connections,
// such that tunnels of them cost less to set up: l itself where that is not possible.
// Whoever closes l afterwards does not end it, so it is for those who made l. Only
// one goroutine may accept. The connections have the methods of a [net.TCPConn] that
// a proxy needs: those of [net.Conn] and [syscall.Conn], CloseWrite and SetLinger. Where
// l has SO_LINGER set, or somebody else may set it, SetLinger(-1) must come first: closing
// must not wait.
func Listener(l net.Listener) net.Listener { return listen(l) }

// Acceptor is a [Listener] on Linux, which needs no goroutine that waits.
type Acceptor interface {
	net.Listener
	// Serve has each called, by a loop, for every connection until over is called, in
	// a goroutine of its own. That is after Close, or when something went wrong; then
	// the listener is as it was, and Accept will say what it was. each must not
	// wait for anything, nor panic, nor close the listener. Serve is called once, before Accept.
	Serve(each func(net.Conn), over func()) error
}

// Dial connects to an address by TCP, until ctx is done or limit has passed. Zero and
// negative mean no limit; one given here costs nothing where the connection is made at
// once. The connection is of the same kind as a [Listener]'s.
func Dial(ctx context.Context, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
	return dial(ctx, to, limit)
}

// Begin begins what [Dial] does, and never waits. near is the connection that it is to be
// relayed to: one loop for both has less to do. done says that the connection is made,
// or cannot be, which is what err says. Otherwise c is for [Finish], or there is none and
// Dial must be called: where it cannot be done like this.
func Begin(to netip.AddrPort, near net.Conn) (c net.Conn, done bool, err error) {
	return begin(to, near)
}

// Finish is the rest of [Dial] for a connection that [Begin] gave. It owns it.
func Finish(ctx context.Context, c net.Conn, limit time.Duration) (net.Conn, error) {
	return finish(ctx, c, limit)
}

// Prompt is a connection of a [Listener] on Linux, which can be served without a goroutine
// as long as nothing has to be waited for.
type Prompt interface {
	net.Conn
	// Await has arrived called once when Read would not wait any more: something is
	// there, the read deadline that was set before has passed, or the connection is
	// closed. It may be called by a loop, which moves the bytes of many tunnels, so it
	// must not wait for anything, nor panic; and somebody must hold a [Keep]. False: that
	// is so already, and it will not be called.
	Await(arrived func()) bool
	// TryRead reads what is there. 0 means that there is nothing, or that Read will say
	// what is the matter.
	TryRead(b []byte) int
	// Drop is Close for a connection that has just been accepted, and never waits.
	Drop()
	// TryWrite reports whether all of b could be written at once. Otherwise the
	// connection can only be closed.
	TryWrite(b []byte) bool
}

// Run is New and [Tunnel.Run].
func Run(client, upstream net.Conn, o Options) Stats { return New(client, upstream, o).Run() }

// New makes a tunnel that owns both connections. It does nothing before Run or
// Start, but Close may be called; one of the three must be.
func New(client, upstream net.Conn, o Options) *Tunnel {
	return &Tunnel{client: client, upstream: upstream, o: o}
}

// Close ends the tunnel at once: both peers see the end of the stream, whatever
// is under way. Whoever closes the connections instead, where [Options].Shared allows
// it, meets the relay at work on them, and may leave a peer with a reset. Close does
// not wait for the end of Run, which gives [net.ErrClosed]. It is idempotent.
func (t *Tunnel) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut(net.ErrClosed)
}

// Run is Start, and waits for the end. A panic of a connection surfaces here.
func (t *Tunnel) Run() Stats {
	ended := make(chan Stats, 1)
	t.Start(func(s Stats) { ended <- s })
	s := <-ended
	var p *PanicError
	if errors.As(s.Err, &p) {
		panic(p)
	}
	return s
}

// Start relays until both directions have ended, one of them has failed, or a limit
// is reached, and returns at once. It has closed both connections when done is
// called, in a goroutine of its own but for [Options].Prompt, and nothing else of it is
// left then. It may be called once.
func (t *Tunnel) Start(done func(Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin(done)
}
