// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxLoops bounds the loops of the process. One moves tens of gigabits a second.
	maxLoops = 8
	// idlePipesFor is how long a loop with nothing to do keeps its pipes.
	idlePipesFor = time.Second
	// fairShare is how many times a side is emptied before others have their turn.
	fairShare = 16
)

// loop is one goroutine that moves the bytes of many flows. It waits in the
// kernel, in an epoll instance of its own, which the descriptors are in from the
// start of a flow to its end (edge triggered), so that waiting costs no system call.
type loop struct {
	epoll int
	stop  int           // an eventfd: readable when the loop is to end
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
		one := [8]byte{1}
		unix.Write(l.stop, one[:])
		<-l.done
		unix.Close(l.epoll)
		unix.Close(l.stop)
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
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("relay: epoll_create1: %w", err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, stop, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(stop)})
		if err != nil {
			unix.Close(stop)
		}
	}
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("relay: eventfd: %w", err)
	}
	l := &loop{epoll: epoll, stop: stop, done: make(chan struct{})}
	go l.run()
	return l, nil
}

// run is the loop's goroutine.
func (l *loop) run() {
	defer close(l.done)
	var events [128]unix.EpollEvent
	var sides [128]*side
	for {
		n, err := unix.EpollWait(l.epoll, events[:], l.patience())
		if n == 0 && err == nil && len(l.again) == 0 {
			closeIdlePipes()
		}
		ending := false
		l.mu.Lock()
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			ending = ending || fd == l.stop
			sides[i] = nil
			if fd < len(l.sides) {
				sides[i] = l.sides[fd]
			}
		}
		l.mu.Unlock()
		if ending || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		again := l.again
		l.again = nil
		for i := range max(n, 0) {
			if s := sides[i]; s != nil {
				s.f.serve(l, s, events[i].Events)
			}
		}
		for _, s := range again {
			s.f.serve(l, s, unix.EPOLLIN)
		}
	}
}

// patience is for how many milliseconds there is nothing to do but wait.
func (l *loop) patience() int {
	switch {
	case len(l.again) > 0:
		return 0
	case havePipes():
		return int(idlePipesFor / time.Millisecond)
	}
	return -1
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
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: s.interest(), Fd: int32(s.fd)}); err != nil {
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
