// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxPipes bounds the pipes of the process, and with them the descriptors
	// that busy tunnels need beyond their own two; when they are all in use,
	// bytes go through a buffer.
	maxPipes = 64
	// maxIdlePipes bounds those kept for the next readable connection.
	maxIdlePipes = 16
	// idlePipesFor is how long those are kept when nobody uses any.
	idlePipesFor = time.Second
	// pipeSize is asked for, not required: an unprivileged user has a budget.
	pipeSize = 256 << 10
)

// MaxPipeDescriptors is how many descriptors the pipes of all tunnels of the
// process together use at most, beyond the two of each tunnel.
const MaxPipeDescriptors = 2 * maxPipes

// pipe is a kernel buffer. It is empty whenever it is in the pool.
type pipe struct{ r, w int }

var pipes struct {
	mu   sync.Mutex
	idle []*pipe
	live int         // idle and in use
	used bool        // since reap looked the last time
	reap *time.Timer // runs while there are idle pipes
}

// getPipe returns an empty pipe, or nil when the process has enough of them or
// may have no more descriptors.
func getPipe() *pipe {
	pipes.mu.Lock()
	if n := len(pipes.idle); n > 0 {
		p := pipes.idle[n-1]
		pipes.used = true
		pipes.idle = pipes.idle[:n-1]
		pipes.mu.Unlock()
		return p
	}
	if pipes.live >= maxPipes {
		pipes.mu.Unlock()
		return nil
	}
	pipes.live++
	pipes.mu.Unlock()

	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		pipes.mu.Lock()
		pipes.live--
		pipes.mu.Unlock()
		return nil
	}
	unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	return &pipe{r: fds[0], w: fds[1]}
}

// putPipe takes a pipe back. One that is not empty is closed: its bytes belong
// to a tunnel, and must never appear in another.
func putPipe(p *pipe, empty bool) {
	pipes.mu.Lock()
	if empty && len(pipes.idle) < maxIdlePipes {
		pipes.idle = append(pipes.idle, p)
		if pipes.reap == nil {
			pipes.reap = time.AfterFunc(idlePipesFor, reapPipes)
		}
		pipes.mu.Unlock()
		return
	}
	pipes.live--
	pipes.mu.Unlock()
	p.close()
}

// reapPipes closes the idle pipes if none was used for a while.
func reapPipes() {
	pipes.mu.Lock()
	used := pipes.used
	pipes.used = false
	if used && pipes.reap != nil {
		pipes.reap.Reset(idlePipesFor)
	}
	pipes.mu.Unlock()
	if !used {
		closeIdlePipes()
	}
}

// closeIdlePipes leaves no descriptor behind when nothing is relayed.
func closeIdlePipes() {
	pipes.mu.Lock()
	idle := pipes.idle
	pipes.idle = nil
	if pipes.reap != nil {
		pipes.reap.Stop()
		pipes.reap = nil
	}
	pipes.live -= len(idle)
	pipes.mu.Unlock()
	for _, p := range idle {
		p.close()
	}
}

func (p *pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// fill moves what fd has to read into the pipe; 0 is the end of the stream.
func (p *pipe) fill(fd int) (int, error) {
	for {
		n, err := unix.Splice(fd, nil, p.w, nil, pipeSize, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			return int(n), err
		}
	}
}

// drain moves up to n bytes from the pipe to fd.
func (p *pipe) drain(fd, n int) (int, error) {
	w, err := unix.Splice(p.r, nil, fd, nil, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	return int(w), err
}
