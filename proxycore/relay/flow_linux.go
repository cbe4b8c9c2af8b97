// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// flow is a tunnel whose descriptors a loop takes care of.
type flow struct {
	t *Tunnel

	mu       sync.Mutex // held by whoever uses the descriptors
	over     bool       // they are closed, and this is what is to be reported:
	users    int
	stats    Stats
	client   side
	upstream side
}

// side is one connection of a flow, and the direction that begins there.
type side struct {
	f  *flow
	l  *loop
	fd int   // -1 before there is one
	to *side // where its bytes go

	readable bool // there may be something to read
	ending   bool // the end of its stream, or an error, is there or close behind
	ended    bool // its stream is over, and the other side has been told
	blocked  bool // it takes no more bytes at the moment
	waits    bool // the loop hears of it when it does again
	plenty   bool // so much comes that a pipe is worth its while
	noPipe   bool // splice does not work here
	lingers  bool // closing it may wait

	// What has been read and not delivered is in one of these.
	pipe   *pipe
	inPipe int
	buf    *buffer // that rest is a part of, nil for a prefix
	rest   []byte

	n int64 // bytes delivered
}

// newFlow takes the descriptors from the tunnel's connections, or gives nil when
// they are not of a kind that has one, or there is no descriptor left.
func newFlow(t *Tunnel, upPrefix, downPrefix []byte) *flow {
	if !adoptable(t.client) || !adoptable(t.upstream) {
		return nil
	}
	f := &flow{t: t}
	f.client = side{f: f, fd: -1, to: &f.upstream, rest: upPrefix}
	f.upstream = side{f: f, fd: -1, to: &f.client, rest: downPrefix}
	f.mu.Lock() // loops may have something to say as soon as they know of it
	defer f.mu.Unlock()
	if !f.client.adopt(t.client) || !f.upstream.adopt(t.upstream) {
		f.over = true
		go leaveLoops(f.release(false, false))
		return nil
	}
	return f
}

func adoptable(c net.Conn) bool {
	_, isSock := c.(*sock)
	return isSock || rawConn(c) != nil
}

// adopt makes c's descriptor, or a duplicate of it, the side's own, and closes c.
func (s *side) adopt(c net.Conn) bool {
	if c, ok := c.(*sock); ok {
		return c.handOver(s)
	}
	fd := duplicate(rawConn(c))
	if fd < 0 {
		return false
	}
	l, err := useLoop(nil)
	if err != nil {
		unix.Close(fd)
		return false
	}
	s.fd, s.l, s.lingers = fd, l, true // for all that is known
	if err := l.add(fd, interest(false), s); err != nil {
		s.fd = -1
		unix.Close(fd)
		go leaveLoops(1)
		return false
	}
	c.Close() // so that Go's network poller does not hear of it any more
	return true
}

// start delivers the prefixes; what comes from the connections, the loops see to.
func (f *flow) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range []*side{&f.client, &f.upstream} {
		if err := s.drain(); err != nil {
			f.end(err, true)
			go f.finish()
			return
		}
	}
}

// duplicate gives a descriptor of its own for the same connection, or -1.
func duplicate(raw syscall.RawConn) int {
	fd := -1
	raw.Control(func(from uintptr) {
		var err error
		if fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			fd = -1
		}
	})
	return fd
}

// ready moves what can be moved after events on s.
func (s *side) ready(l *loop, events uint32) {
	f := s.f
	f.mu.Lock()
	if f.over {
		f.mu.Unlock()
		return
	}
	s.note(events)
	f.move(l, s, events)
	over := f.over
	f.mu.Unlock()
	switch {
	case !over:
	case f.t.o.Prompt:
		letLoopsGo(f.users)
		f.t.finished(f.stats)
	default:
		go f.finish()
	}
}

// keepAlive implements watched.
func (s *side) keepAlive() {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if !s.f.over {
		setKeepAlive(s.fd)
	}
}

// note takes in what epoll said.
func (s *side) note(events uint32) {
	if events&unix.EPOLLOUT != 0 {
		s.blocked = false
	}
	if events&^unix.EPOLLOUT != 0 {
		s.readable = true
	}
	if events&(unix.EPOLLPRI|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.ending = true
	}
}

// move moves what can be moved after events on s, to the end of the flow.
func (f *flow) move(l *loop, s *side, events uint32) {
	if (s.ended || s.to.blocked) && events&unix.EPOLLERR != 0 {
		// Nobody reads here any more, so nobody else would notice that the peer is gone.
		if code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
			f.end(os.NewSyscallError("read", unix.Errno(code)), true)
			return
		}
	}
	for _, s := range [...]*side{s, s.to} {
		if err := s.move(l); err != nil {
			f.end(err, true)
			return
		}
	}
	if f.client.ended && f.upstream.ended {
		f.end(nil, false)
	}
}

// move takes from s and gives to the other side until there is nothing left, the
// other side takes no more, or it is the turn of others.
func (s *side) move(l *loop) error {
	for range fairShare {
		if err := s.drain(); err != nil || s.to.blocked || s.ended || !s.readable {
			s.idle(l)
			return err
		}
		n, err := s.fill(l)
		switch {
		case err == unix.EAGAIN:
			s.readable = false
		case err != nil:
			s.idle(l)
			return os.NewSyscallError("read", err)
		case n == 0:
			return s.finish(l)
		}
	}
	if err := s.drain(); err != nil {
		return err
	}
	if s.readable && !s.to.blocked {
		l.again = append(l.again, s)
	}
	s.idle(l)
	return nil
}

// finish passes the end of s's stream on. Where that is the end of the flow, the
// connections are closed instead, which says the same.
func (s *side) finish(l *loop) error {
	s.idle(l)
	s.ended = true
	if s.to.ended {
		return nil
	}
	return os.NewSyscallError("shutdown", shutWrite(s.to.fd))
}

// fill reads what is there. Few bytes go through a buffer, as a pipe would take
// one system call more; the pipe is for those who fill the buffer.
func (s *side) fill(l *loop) (n int, err error) {
	if s.plenty && !s.noPipe {
		if s.pipe == nil {
			s.pipe = getPipe()
		}
		if s.pipe != nil {
			n, err = s.pipe.fill(s.fd)
			stuck := err == unix.EAGAIN && s.ending // at urgent data, perhaps, which splice does not pass
			if !cannotSplice(err) && !stuck {
				s.inPipe = max(n, 0)
				s.plenty = err == nil
				return n, err
			}
			s.noPipe = !stuck
			s.idle(l)
		}
	}
	if s.buf == nil {
		s.buf, l.spare = l.spare, nil
	}
	if s.buf == nil {
		s.buf = new(buffer)
	}
	for {
		n, err = read(s.fd, s.buf[:])
		if err != unix.EINTR {
			break
		}
	}
	s.rest = s.buf[:max(n, 0)]
	s.plenty = n == len(s.buf)
	if n > 0 && !s.plenty && !s.ending {
		s.readable = false // that was all: what comes from now on is a new event
	}
	return n, err
}

// drain gives what was read to the other side, as much of it as that takes.
func (s *side) drain() error {
	for !s.to.blocked && (len(s.rest) > 0 || s.inPipe > 0) {
		var n int
		var err error
		if s.inPipe > 0 {
			n, err = s.pipe.drain(s.to.fd, s.inPipe)
		} else {
			n, err = write(s.to.fd, s.rest)
		}
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return s.to.block()
		case err != nil:
			return os.NewSyscallError("write", err)
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		if s.inPipe > 0 {
			s.inPipe -= n
		} else {
			s.rest = s.rest[n:]
		}
		s.n += int64(n)
		s.f.t.noteActivity()
	}
	return nil
}

// block notes that s takes no more, and has the loop say when it does again. That
// is asked for once: most flows never need it.
func (s *side) block() error {
	s.blocked = true
	if s.waits {
		return nil
	}
	s.waits = true
	return watchWrites(s.l, s.fd)
}

// idle gives back what s holds and does not need.
func (s *side) idle(l *loop) {
	if s.pipe != nil && s.inPipe == 0 {
		putPipe(s.pipe, true)
		s.pipe = nil
	}
	if s.buf != nil && len(s.rest) == 0 {
		l.spare, s.buf, s.rest = s.buf, nil, nil
	}
}

// cut ends the flow from outside.
func (f *flow) cut(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.end(err, false)
		go f.finish()
	}
}

// end closes both connections, as Tunnel.end says. f.mu is held; whoever calls it calls
// finish, in a goroutine, or does the same without it.
func (f *flow) end(err error, reset bool) {
	f.over = true
	f.users = f.release(reset, err != nil && !reset)
	f.stats = Stats{Up: f.client.n, Down: f.upstream.n, Err: err}
}

// finish reports the end. f.mu is not held.
func (f *flow) finish() {
	leaveLoops(f.users)
	f.t.finished(f.stats)
}

// release closes the descriptors and gives back everything else, but for the uses
// of the loops, which it counts. f.mu is held.
func (f *flow) release(reset, fin bool) (users int) {
	for _, s := range []*side{&f.client, &f.upstream} {
		if s.fd < 0 {
			continue
		}
		s.l.replace(s.fd, nil)
		switch {
		case reset:
			setLinger(s.fd, 0)
		case fin:
			shutWrite(s.fd)
		}
		closeSocket(s.fd, s.lingers)
		if s.pipe != nil {
			putPipe(s.pipe, s.inPipe == 0)
		}
		s.pipe, s.buf, s.rest = nil, nil, nil
		users++
	}
	return users
}
