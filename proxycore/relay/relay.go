// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package relay carries bytes between the two connections of a tunnel.
//
// Each direction ends on its own: the end of one side's stream becomes a
// half-close of the other, and the opposite direction goes on. A reset on one
// side becomes a reset on the other, so that a cut-off stream is never taken
// for a complete one.
//
// On Linux bytes move between TCP and Unix stream connections inside the kernel
// (splice). A pipe is taken only once a side has become readable and given back
// as soon as it is drained, so that an idle tunnel holds two descriptors and no
// buffer. Other Unix systems do the same with a pooled buffer. Anything else,
// and any connection of another type, goes through the portable form, which
// holds one buffer a direction.
//
// A connection whose orderly end may have to wait for its peer (TLS) should have
// the method Cut(reset bool), which ends it at once. With reset the peer must not
// be told that the stream is complete.
//
// The package knows nothing of proxies: no policy, no protocol, no log.
package relay

import (
	"errors"
	"net"
	"sync/atomic"
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

	// form lets the tests run every form on one system.
	form form
}

// form is one way of moving bytes.
type form int

const (
	formBest     form = iota // the best this system and these connections have
	formBuffer               // never splice
	formPortable             // Read and Write of net.Conn only
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

// running counts the tunnels of the process; the last one closes the idle pipes.
var running atomic.Int64

// Run is New and [Tunnel.Run].
func Run(client, upstream net.Conn, o Options) Stats { return New(client, upstream, o).Run() }

// New makes a tunnel that owns both connections. It does nothing before Run, but
// Close may be called; one of the two must be.
func New(client, upstream net.Conn, o Options) *Tunnel {
	t := &Tunnel{client: client, upstream: upstream, o: o}
	t.up = direction{t: t, src: client, dst: upstream}
	t.down = direction{t: t, src: upstream, dst: client}
	t.left.Store(2)
	return t
}

// Close ends the tunnel at once: both peers see the end of the stream, whatever
// is under way. Whoever closes the connections instead meets the relay at work on
// them, and may leave a peer with a reset. Close does not wait for Run, which
// gives [net.ErrClosed]. It is idempotent.
func (t *Tunnel) Close() { t.end(net.ErrClosed, false) }

// Run relays until both directions have ended, one of them has failed, or a limit
// is reached. It has closed both connections when it returns; no goroutine of its
// is left then. Closing either connection from elsewhere ends it too. It may be
// called once.
func (t *Tunnel) Run() Stats {
	running.Add(1)
	defer func() {
		if running.Add(-1) == 0 {
			closeIdlePipes()
		}
	}()
	up, down := t.o.Prefix, t.o.DownPrefix
	t.o.Prefix, t.o.DownPrefix = nil, nil // they must not outlive their delivery
	stop := t.startLimits()
	downDone := make(chan any, 1)
	go t.carryDown(down, downDone)
	panicked := t.carry(&t.up, up)
	if p := <-downDone; panicked == nil {
		panicked = p
	}
	stop()
	t.end(nil, false)
	if panicked != nil {
		// A connection type of the caller's panicked. Let it surface in the
		// caller's goroutine, where it can be recovered.
		panic(panicked)
	}
	return Stats{Up: t.up.n.Load(), Down: t.down.n.Load(), Err: t.err}
}
