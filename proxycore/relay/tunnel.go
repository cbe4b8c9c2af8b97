// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Tunnel relays between two connections. [New] makes one.
type Tunnel struct {
	o Options

	mu               sync.Mutex // guards the fields below; taken before a flow's
	client, upstream net.Conn   // nil once there is a flow
	flow             *flow      // what relays, one of these two
	duplex           *duplex
	done             func(Stats)
	limit            *time.Timer // for both limits; nil if there is none
	cutBy            error       // what ended the tunnel before it began
	over             bool        // nothing is left to be limited

	start  time.Time    // set if there is a limit
	active atomic.Int64 // nanoseconds from start to the last byte, if there is an idle limit
}

// begin is Start. t.mu is held.
func (t *Tunnel) begin(done func(Stats)) {
	t.done = done
	if t.cutBy != nil {
		go t.finished(Stats{Err: t.cutBy})
		return
	}
	if t.o.TotalTimeout > 0 || t.o.IdleTimeout > 0 {
		t.start = time.Now()
		left, _ := t.left()
		t.limit = time.AfterFunc(left, t.checkLimits)
	}
	up, down := t.o.Prefix, t.o.DownPrefix
	t.o.Prefix, t.o.DownPrefix = nil, nil // they must not outlive their delivery
	if t.o.form == formBest && !t.o.Shared {
		t.flow = newFlow(t, up, down)
	}
	if t.flow != nil {
		t.client, t.upstream = nil, nil
		t.flow.start()
		return
	}
	t.duplex = newDuplex(t, up, down)
	go t.duplex.run()
}

// cut ends the tunnel with an orderly end for both peers. t.mu is held.
func (t *Tunnel) cut(err error) {
	switch {
	case t.flow != nil:
		t.flow.cut(err)
	case t.duplex != nil:
		t.duplex.end(err, false)
	case t.cutBy == nil:
		t.cutBy = err
		closeBoth(t.client, t.upstream, err, false)
	}
}

// finished is called when nothing of the tunnel is left.
func (t *Tunnel) finished(s Stats) {
	t.mu.Lock()
	t.over = true
	if t.limit != nil {
		t.limit.Stop()
	}
	done := t.done
	t.mu.Unlock()
	done(s)
}

// noteActivity notes that bytes have been delivered.
func (t *Tunnel) noteActivity() {
	if t.o.IdleTimeout > 0 {
		t.active.Store(int64(time.Since(t.start)))
	}
}

// checkLimits looks at the clock when the timer fires: moving the timer for every
// chunk would cost more than moving the chunk.
func (t *Tunnel) checkLimits() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	left, err := t.left()
	if left > 0 {
		t.limit.Reset(left)
		return
	}
	t.cut(err)
}

// left is the time to the next limit, and what ends the tunnel then.
func (t *Tunnel) left() (left time.Duration, err error) {
	age := time.Since(t.start)
	left = math.MaxInt64
	if t.o.TotalTimeout > 0 {
		left, err = t.o.TotalTimeout-age, ErrTotal
	}
	if t.o.IdleTimeout > 0 {
		if idle := t.o.IdleTimeout - (age - time.Duration(t.active.Load())); idle < left {
			left, err = idle, ErrIdle
		}
	}
	return left, err
}

// closeBoth closes both connections. With reset the peers see a reset instead of
// an orderly end, so that neither mistakes what it has for the whole.
func closeBoth(client, upstream net.Conn, err error, reset bool) {
	for _, c := range [...]net.Conn{client, upstream} {
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
}

// closeWrite ends c's outgoing stream. A connection that cannot be half-closed
// is closed: its peer would otherwise wait for ever for an end that never comes.
func closeWrite(c net.Conn) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

// buffer is what bytes pass through where they are not spliced.
type buffer [32 << 10]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}
