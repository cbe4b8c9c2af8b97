// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// follower waits for the end of the processes that hold a listening socket, which
// are not our children.
type follower struct {
	inodes map[string]bool // of the listening sockets; none when they cannot be seen
	over   chan struct{}   // closed by stop

	mu    sync.Mutex // guards the fields below
	pidfd *os.File   // of the process that is waited for; nil for none
	who   string     // that process
	ended bool       // by stop
}

// follow finds who listens at at. A proxy in front of which this process cannot
// look is followed in vain: wait then only ends with stop.
func follow(at endpoint) *follower {
	f := &follower{inodes: listenersAt(at), over: make(chan struct{})}
	if !f.next() {
		f.inodes = nil
	}
	return f
}

// listenersAt returns the inodes of the listening sockets by which at is reached.
func listenersAt(at endpoint) map[string]bool {
	sockets, err := listeningSockets()
	if err == nil && at.socket != "" {
		sockets, err = appendUnixSockets(sockets)
	}
	if err != nil {
		return nil
	}
	one, all := make(map[string]bool), make(map[string]bool)
	for _, s := range sockets {
		switch {
		case at.socket != "":
			if s.path == at.socket {
				one[s.inode] = true
			}
		case s.path != "" || s.local.Port() != at.addr.Port():
		case s.local.Addr() == at.addr.Addr():
			one[s.inode] = true
		case s.local.Addr().IsUnspecified() && isLocal(at):
			all[s.inode] = true
		}
	}
	if len(one) > 0 {
		return one // a listener on the very address comes before one on all of them
	}
	return all
}

// isLocal keeps a proxy on another host from being taken for one here that
// listens on the same port of all addresses.
func isLocal(at endpoint) bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if at.addr.Addr().IsLoopback() || err != nil {
		if err == nil {
			unix.Close(fd)
		}
		return at.addr.Addr().IsLoopback()
	}
	defer unix.Close(fd)
	return unix.Bind(fd, &unix.SockaddrInet6{Addr: at.addr.Addr().As16()}) == nil
}

// next opens the oldest process that holds one of the sockets; false when there is
// none, or the follower was stopped.
func (f *follower) next() bool {
	for range 100 { // processes may come and go while they are looked at
		pid := f.holder()
		if pid == 0 {
			return false
		}
		fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
		if err != nil {
			continue
		}
		if !f.holds(pid) { // the id may be another process's by now
			unix.Close(fd)
			continue
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		who := fmt.Sprintf("process %d (%s)", pid, strings.Map(printable, strings.TrimSpace(string(name))))
		return f.take(os.NewFile(uintptr(fd), "pidfd"), who)
	}
	return false
}

// take makes pidfd the one that is waited for, unless the follower was stopped.
func (f *follower) take(pidfd *os.File, who string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pidfd != nil {
		f.pidfd.Close()
	}
	f.pidfd, f.who = pidfd, who
	if f.ended {
		f.pidfd.Close()
	}
	return !f.ended
}

// holder is the oldest process that holds one of the sockets; 0 for none.
func (f *follower) holder() int {
	var oldest procStat
	for pid, stat := range readAllStats() {
		if !stat.dead && (oldest.pid == 0 || stat.start < oldest.start) && f.holds(pid) {
			oldest = stat
		}
	}
	return oldest.pid
}

func (f *follower) holds(pid int) bool {
	held, _ := heldSockets(pid)
	for _, inode := range held {
		if f.inodes[inode] {
			return true
		}
	}
	return false
}

// wait returns who ended last when nobody holds the sockets any more, or "" after stop.
func (f *follower) wait() (who string) {
	if f.inodes == nil {
		<-f.over
		return ""
	}
	for {
		f.mu.Lock()
		pidfd, who := f.pidfd, f.who
		f.mu.Unlock()
		if !awaitEnd(pidfd) {
			return ""
		}
		// A worker may go on with the socket that a master opened.
		if f.next() {
			continue
		}
		if isClosed(f.over) {
			return ""
		}
		return who
	}
}

// awaitEnd waits until the process of pidfd has ended; false when pidfd is closed first.
func awaitEnd(pidfd *os.File) bool {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return err == nil && n == 1
	})
	return err == nil
}

// stop ends wait and gives up the descriptor. It may be called twice.
func (f *follower) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.ended = true
	close(f.over)
	if f.pidfd != nil {
		f.pidfd.Close()
	}
}
