// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// aLongTimeAgo is a deadline that wakes whoever waits on a connection.
var aLongTimeAgo = time.Unix(1, 0)

// duplex is a tunnel that two goroutines relay, one for each direction.
type duplex struct {
	t                *Tunnel
	client, upstream net.Conn
	up, down         direction
	left             atomic.Int32 // directions that have not reached the end of their stream

	once sync.Once // guards err and the closing of both connections
	err  error
}

// direction is one half of a duplex.
type direction struct {
	d        *duplex
	src, dst net.Conn
	prefix   []byte
	n        atomic.Int64 // bytes delivered to dst
}

func newDuplex(t *Tunnel, upPrefix, downPrefix []byte) *duplex {
	d := &duplex{t: t, client: t.client, upstream: t.upstream}
	d.up = direction{d: d, src: t.client, dst: t.upstream, prefix: upPrefix}
	d.down = direction{d: d, src: t.upstream, dst: t.client, prefix: downPrefix}
	d.left.Store(2)
	return d
}

// run relays to the end.
func (d *duplex) run() {
	release := keep() // of the pipes
	downDone := make(chan struct{})
	go func() {
		defer close(downDone)
		d.carry(&d.down)
	}()
	d.carry(&d.up)
	<-downDone
	d.end(nil, false)
	release()
	d.t.finished(Stats{Up: d.up.n.Load(), Down: d.down.n.Load(), Err: d.err})
}

// delivered accounts for n bytes that dst has accepted.
func (r *direction) delivered(n int) {
	r.n.Add(int64(n))
	r.d.t.noteActivity()
}

// carry moves r's bytes until its stream ends or the tunnel does.
func (d *duplex) carry(r *direction) {
	defer func() {
		if p := recover(); p != nil {
			d.end(&PanicError{p, debug.Stack()}, true)
		}
	}()
	if err := r.move(); err != nil {
		d.end(err, !errors.Is(err, net.ErrClosed))
		return
	}
	if err := closeWrite(r.dst); err != nil {
		d.end(err, !errors.Is(err, net.ErrClosed))
		return
	}
	if d.left.Add(-1) == 0 {
		// The other direction may be watching for a reset (see watchReset).
		// Both connections are about to be closed: a deadline does no harm.
		r.dst.SetReadDeadline(aLongTimeAgo)
		return
	}
	if d.t.o.form != formPortable {
		if err := watchReset(r.src); err != nil {
			d.end(err, true)
		}
	}
}

// move delivers the prefix, then everything that src sends.
func (r *direction) move() error {
	if len(r.prefix) > 0 {
		n, err := r.dst.Write(r.prefix)
		r.delivered(n)
		r.prefix = nil
		if err != nil {
			return err
		}
	}
	if form := r.d.t.o.form; form != formPortable {
		if handled, err := r.moveRaw(form != formBuffer); handled {
			return err
		}
	}
	return r.movePortable()
}

// movePortable copies with nothing but the methods of net.Conn.
func (r *direction) movePortable() error {
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	for {
		n, err := r.src.Read(buf[:])
		if n > 0 {
			w, werr := r.dst.Write(buf[:n])
			r.delivered(w)
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

// end closes both connections, once.
func (d *duplex) end(err error, reset bool) {
	d.once.Do(func() {
		d.err = err
		closeBoth(d.client, d.upstream, err, reset)
	})
}
