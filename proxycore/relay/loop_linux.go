// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxLoops bounds the loops of the process. One moves tens of gigabits a second.
	maxLoops = 8
	// fairShare is how many times a side is emptied before others have their turn.
	fairShare = 16
	// keepAliveAfter is how long a connection may have been dialled, at most, before its
	// peer is looked after. That takes four calls, which short ones need not make; the
	// first probe comes much later.
	keepAliveAfter = time.Second
)

// loop is one goroutine that moves the bytes of many flows. Their descriptors are
// in an epoll instance of its own from the start of a flow to its end (edge
// triggered), so that waiting for one costs no system call. For the instance itself
// it waits in Go's network poller, as for a connection: a thread that waited in
// epoll_wait would have to be given a processor each time, which costs more than
// what it then does.
type loop struct {
	epoll *os.File
	fd    int           // its descriptor, valid until the loop is ended
	done  chan struct{} // closed when it has

	mu      sync.Mutex
	watched []watched   // by descriptor; nil where there is none
	young   []int32     // descriptors that are to be kept alive; others' by now, maybe
	sweep   *time.Timer // nil unless there are any

	again []watched // those that had their share, and have more; the loop's own
	spare *buffer   // for the next read; the loop's own
}

// watched is what a loop watches a descriptor for. What ready is told is a hint only:
// it may be left from a connection that had the descriptor before.
type watched interface {
	ready(l *loop, events uint32)
	// keepAlive sets the options, unless the connection is closed. Once too often does
	// no harm.
	keepAlive()
}

// loops are those of the process. They run as long as somebody needs them.
var loops struct {
	mu    sync.Mutex // held while loops are started and ended
	users int        // connections, and callers of keep
	all   []*loop
	next  int
}

// useLoop counts a user, and gives a loop for it: near, unless that is nil. There is an
// error when the process may have no more descriptors.
func useLoop(near *loop) (*loop, error) {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	if len(loops.all) == 0 {
		for range min(runtime.GOMAXPROCS(0), maxLoops) {
			l, err := newLoop()
			if err != nil {
				endLoops()
				return nil, err
			}
			loops.all = append(loops.all, l)
		}
	}
	loops.users++
	if near != nil {
		return near, nil
	}
	loops.next++
	return loops.all[loops.next%len(loops.all)], nil
}

// leaveLoops is the end of n users. With the last one the loops end, and nothing of
// them is left when it returns. It must not be called by a loop, nor with a lock
// that a loop may wait for.
func leaveLoops(n int) {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	if loops.users -= n; loops.users == 0 {
		endLoops()
	}
}

// letLoopsGo is leaveLoops for a loop.
func letLoopsGo(n int) {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	if loops.users == n {
		go leaveLoops(n)
		return
	}
	loops.users -= n
}

// endLoops ends all loops. loops.mu is held.
func endLoops() {
	for _, l := range loops.all {
		l.epoll.Close()
		<-l.done
		l.mu.Lock()
		if l.sweep != nil {
			l.sweep.Stop()
		}
		l.mu.Unlock()
	}
	loops.all = nil
	closeIdlePipes()
}

// keep is Keep. It starts nothing.
func keep() (release func()) {
	loops.mu.Lock()
	loops.users++
	loops.mu.Unlock()
	return sync.OnceFunc(func() { leaveLoops(1) })
}

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("relay: epoll_create1: %w", err)
	}
	unix.SetNonblock(fd, true) // which has os.NewFile give it to the network poller
	l := &loop{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, done: make(chan struct{})}
	raw, err := l.epoll.SyscallConn()
	if err != nil {
		l.epoll.Close()
		return nil, fmt.Errorf("relay: epoll: %w", err)
	}
	go l.run(raw)
	return l, nil
}

// run is the loop's goroutine.
func (l *loop) run(raw syscall.RawConn) {
	defer close(l.done)
	var events [128]unix.EpollEvent
	raw.Read(func(fd uintptr) bool {
		for more := true; more; {
			n, _ := look(int(fd), events[:]) // there is no error but EINTR
			again := l.again
			l.again = nil
			l.serve(events[:n])
			for _, s := range again {
				s.ready(l, unix.EPOLLIN)
			}
			more = n == len(events) || len(l.again) > 0
		}
		return false // what has come meanwhile, the poller knows: it lets this look again at once
	})
}

// serve tells those concerned what happened.
func (l *loop) serve(events []unix.EpollEvent) {
	var concerned [128]watched
	l.mu.Lock()
	for i, e := range events {
		concerned[i] = l.watched[e.Fd]
	}
	l.mu.Unlock()
	for i, e := range events {
		if w := concerned[i]; w != nil {
			w.ready(l, e.Events)
		}
	}
}

// interest is what to watch a descriptor for. Few connections ever are so full that
// it matters when they take bytes again.
func interest(writes bool) uint32 {
	if writes {
		return unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET | unix.EPOLLOUT
	}
	return unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET
}

// add begins to watch a descriptor. w may be told of events before it returns.
func (l *loop) add(fd int, events uint32, w watched) error {
	l.mu.Lock()
	for fd >= len(l.watched) {
		l.watched = append(l.watched, make([]watched, max(64, len(l.watched)))...)
	}
	l.watched[fd] = w
	l.mu.Unlock()
	if err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		l.replace(fd, nil)
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// replace gives a descriptor's events to w from now on, or, with nil, to nobody:
// it is about to be closed, which takes it out of the epoll instance, too.
func (l *loop) replace(fd int, w watched) {
	l.mu.Lock()
	l.watched[fd] = w
	l.mu.Unlock()
}

// keepLater has a descriptor that is watched kept alive, if it still is after a while.
func (l *loop) keepLater(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.young = append(l.young, int32(fd))
	if l.sweep == nil {
		l.sweep = time.AfterFunc(keepAliveAfter, l.keepAlive)
	}
}

// keepAlive does what keepLater has promised.
func (l *loop) keepAlive() {
	l.mu.Lock()
	var list []watched
	for _, fd := range l.young {
		if w := l.watched[fd]; w != nil {
			list = append(list, w)
		}
	}
	l.young, l.sweep = nil, nil
	l.mu.Unlock()
	for _, w := range list {
		w.keepAlive()
	}
}

// watchWrites watches a descriptor for taking bytes, too.
func watchWrites(l *loop, fd int) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.fd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: interest(true), Fd: int32(fd)}))
}
