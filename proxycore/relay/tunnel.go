// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// aLongTimeAgo is a deadline that wakes whoever waits on a connection.
var aLongTimeAgo = time.Unix(1, 0)

// Tunnel relays between two connections: the state that both directions share.
// [New] makes one.
type Tunnel struct {
	client, upstream net.Conn
	up, down         direction
	o                Options

	left atomic.Int32 // directions that have not reached the end of their stream

	// Only kept up to date when there is an idle limit.
	watchIdle bool
	start     time.Time
	active    atomic.Int64 // nanoseconds from start to the last byte

	once sync.Once // guards err and the closing of both connections
	err  error
}

// direction is one half of a tunnel.
type direction struct {
	t        *Tunnel
	src, dst net.Conn
	n        atomic.Int64 // bytes delivered to dst
}

// delivered accounts for n bytes that dst has accepted.
func (d *direction) delivered(n int) {
	d.n.Add(int64(n))
	if d.t.watchIdle {
		d.t.active.Store(int64(time.Since(d.t.start)))
	}
}

// carryDown is the goroutine of the downward direction.
func (t *Tunnel) carryDown(prefix []byte, done chan<- any) { done <- t.carry(&t.down, prefix) }

// carry moves d's bytes until its stream ends or the tunnel does. It returns
// what a foreign connection type panicked with, after ending the tunnel.
func (t *Tunnel) carry(d *direction, prefix []byte) (panicked any) {
	defer func() {
		if p := recover(); p != nil {
			panicked = fmt.Sprintf("%v [in the relay]\n%s", p, debug.Stack())
			t.end(fmt.Errorf("relay: panic: %v", p), true)
		}
	}()
	if err := t.move(d, prefix); err != nil {
		t.end(err, !errors.Is(err, net.ErrClosed))
		return nil
	}
	if err := closeWrite(d.dst); err != nil {
		t.end(err, !errors.Is(err, net.ErrClosed))
		return nil
	}
	if t.left.Add(-1) == 0 {
		// The other direction may be watching for a reset (see watchReset).
		// Both connections are about to be closed: a deadline does no harm.
		d.dst.SetReadDeadline(aLongTimeAgo)
		return nil
	}
	if err := t.watchReset(d); err != nil {
		t.end(err, true)
	}
	return nil
}

// move delivers the prefix, then everything that src sends.
func (t *Tunnel) move(d *direction, prefix []byte) error {
	if len(prefix) > 0 {
		n, err := d.dst.Write(prefix)
		d.delivered(n)
		if err != nil {
			return err
		}
	}
	if t.o.form != formPortable {
		if handled, err := d.moveRaw(t.o.form == formBest); handled {
			return err
		}
	}
	return d.movePortable()
}

// movePortable copies with nothing but the methods of net.Conn.
func (d *direction) movePortable() error {
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	for {
		n, err := d.src.Read(buf[:])
		if n > 0 {
			w, werr := d.dst.Write(buf[:n])
			d.delivered(w)
			if werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// end closes both connections, once. With reset the peers see a reset instead
// of an orderly end, so that neither mistakes what it has for the whole.
func (t *Tunnel) end(err error, reset bool) {
	t.once.Do(func() {
		t.err = err
		for _, c := range [...]net.Conn{t.client, t.upstream} {
			if k, ok := c.(interface{ Cut(reset bool) }); ok && err != nil {
				k.Cut(reset)
				continue
			}
			if l, ok := c.(interface{ SetLinger(int) error }); ok && reset {
				l.SetLinger(0)
			}
			if err != nil && !reset {
				// With unread bytes in its queue a closed socket resets its peer.
				// The FIN sent first lets the peer see the end of the stream.
				closeWrite(c)
			}
			c.Close()
		}
	})
}

// closeWrite ends c's outgoing stream. A connection that cannot be half-closed
// is closed: its peer would otherwise wait for ever for an end that never comes.
func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

// startLimits starts the timers that the options ask for and returns what stops
// them.
func (t *Tunnel) startLimits() (stop func()) {
	var timers []*time.Timer
	if t.o.TotalTimeout > 0 {
		timers = append(timers, time.AfterFunc(t.o.TotalTimeout, func() { t.end(ErrTotal, false) }))
	}
	if t.o.IdleTimeout > 0 {
		t.watchIdle, t.start = true, time.Now()
		timers = append(timers, t.idleTimer(t.o.IdleTimeout))
	}
	return func() {
		for _, timer := range timers {
			timer.Stop()
		}
	}
}

// idleTimer ends the tunnel when limit has passed since the last byte. It is
// one timer that looks at the clock when it fires, because moving a timer for
// every chunk would cost more than moving the chunk.
func (t *Tunnel) idleTimer(limit time.Duration) *time.Timer {
	var mu sync.Mutex // orders the assignment of timer before its first use
	mu.Lock()
	defer mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(limit, func() {
		mu.Lock()
		defer mu.Unlock()
		left := limit - (time.Since(t.start) - time.Duration(t.active.Load()))
		if left <= 0 {
			t.end(ErrIdle, false)
			return
		}
		timer.Reset(left)
	})
	return timer
}

// buffer is what bytes pass through where they cannot be spliced.
type buffer [32 << 10]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}
