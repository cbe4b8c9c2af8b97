// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxLoops bounds the loops of the process. One moves tens of gigabits a second.
	maxLoops = 8
	// fairShare is how many times a side is emptied before others have their turn.
	fairShare = 16
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

	mu    sync.Mutex
	sides []*side // by descriptor; nil where there is none

	again []*side // those that had their share, and have more; the loop's own
}

// loops are those of the process. They run as long as somebody needs them.
var loops struct {
	mu    sync.Mutex // held while loops are started and ended
	users int        // flows, and callers of keep
	all   []*loop
	next  int
}

// useLoop counts a user, and gives the loop for its next flow. There is an error
// when the process may have no more descriptors.
func useLoop() (*loop, error) {
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
	loops.next++
	return loops.all[loops.next%len(loops.all)], nil
}

// leaveLoop is the end of a user. With the last one the loops end, and nothing of
// them is left when it returns. It must not be called by a loop.
func leaveLoop() {
	loops.mu.Lock()
	defer loops.mu.Unlock()
	if loops.users--; loops.users == 0 {
		endLoops()
	}
}

// endLoops ends all loops. loops.mu is held.
func endLoops() {
	for _, l := range loops.all {
		l.epoll.Close()
		<-l.done
	}
	loops.all = nil
	closeIdlePipes()
}

// keep is Keep. It starts nothing.
func keep() (release func()) {
	loops.mu.Lock()
	loops.users++
	loops.mu.Unlock()
	return sync.OnceFunc(leaveLoop)
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
	var n int
	look := func(fd uintptr) bool {
		var err error
		n, err = unix.EpollWait(int(fd), events[:], 0)
		return n > 0 || err != nil || len(l.again) > 0
	}
	for raw.Read(look) == nil {
		again := l.again
		l.again = nil
		l.serve(events[:max(n, 0)])
		for _, s := range again {
			s.f.serve(l, s, unix.EPOLLIN)
		}
	}
}

// serve has the flows look at what happened.
func (l *loop) serve(events []unix.EpollEvent) {
	var sides [128]*side
	l.mu.Lock()
	for i, e := range events {
		sides[i] = l.sides[e.Fd]
	}
	l.mu.Unlock()
	for i, e := range events {
		if s := sides[i]; s != nil {
			s.f.serve(l, s, e.Events)
		}
	}
}

// add puts the two sides of a flow into the loop's care. From here on the loop
// may serve them.
func (l *loop) add(sides ...*side) error {
	l.mu.Lock()
	for _, s := range sides {
		for s.fd >= len(l.sides) {
			l.sides = append(l.sides, make([]*side, max(64, len(l.sides)))...)
		}
		l.sides[s.fd] = s
	}
	l.mu.Unlock()
	for _, s := range sides {
		if err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: s.interest(), Fd: int32(s.fd)}); err != nil {
			l.remove(sides...)
			return fmt.Errorf("relay: epoll_ctl: %w", err)
		}
	}
	return nil
}

// remove forgets sides whose descriptors are about to be closed, which takes them
// out of the epoll instance, too.
func (l *loop) remove(sides ...*side) {
	l.mu.Lock()
	for _, s := range sides {
		if l.sides[s.fd] == s {
			l.sides[s.fd] = nil
		}
	}
	l.mu.Unlock()
}
