// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package relay

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// mover moves one direction's bytes between two descriptors. It takes a pipe or
// a buffer inside the readiness callback, when there is something to read, and
// gives it back when there is nothing, so that waiting holds neither.
type mover struct {
	d        *direction
	src, dst syscall.RawConn
	splice   bool    // pipes work between these two, as far as we know
	pipe     *pipe   // holds the pending bytes, or
	buf      *buffer // holds them at buf[off:off+pending]
	off      int
	pending  int
	err      error
}

// rawConn gives c's descriptor if reading and writing it directly is the same
// as calling c's methods. A type that embeds a *net.TCPConn may not be.
func rawConn(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		if c.LocalAddr().Network() != "unix" {
			return nil // a datagram must not be cut in pieces
		}
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// moveRaw moves the bytes through the descriptors; handled is false when the
// connections are not of a kind that allows it.
func (r *direction) moveRaw(splice bool) (handled bool, err error) {
	m := &mover{d: r, src: rawConn(r.src), dst: rawConn(r.dst), splice: splice}
	if m.src == nil || m.dst == nil {
		return false, nil
	}
	return true, m.run()
}

func (m *mover) run() error {
	defer m.release()
	fill, drain := m.fill, m.drain
	for {
		if err := m.src.Read(fill); err != nil {
			return err
		}
		if m.err == io.EOF {
			return nil
		}
		if m.err != nil {
			return m.err
		}
		if err := m.dst.Write(drain); err != nil {
			return err
		}
		if m.err != nil {
			return m.err
		}
	}
}

// fill is called by the net package with src's descriptor, at first and each
// time it becomes readable; false means wait.
func (m *mover) fill(fd uintptr) bool {
	n, err := m.take(int(fd))
	switch {
	case err == unix.EAGAIN:
		m.release()
		return false
	case err != nil:
		m.err = os.NewSyscallError("read", err)
	case n == 0:
		m.err = io.EOF
	}
	m.off, m.pending = 0, max(n, 0)
	return true
}

// take reads what is there into the pipe or the buffer, both empty now.
func (m *mover) take(fd int) (n int, err error) {
	if m.splice && m.pipe == nil && m.buf == nil {
		m.pipe = getPipe()
	}
	if m.pipe != nil {
		n, err = m.pipe.fill(fd)
		stuck := err == unix.EAGAIN // at urgent data, perhaps, which splice does not pass
		if !cannotSplice(err) && !stuck {
			return n, err
		}
		m.splice = stuck
		m.release()
	}
	if m.buf == nil {
		m.buf = buffers.Get().(*buffer)
	}
	for {
		n, err = unix.Read(fd, m.buf[:])
		if err != unix.EINTR {
			return n, err
		}
	}
}

// drain is called by the net package with dst's descriptor, at first and each
// time it becomes writable; false means wait. It returns true when everything
// pending is delivered.
func (m *mover) drain(fd uintptr) bool {
	for m.pending > 0 {
		n, err := m.give(int(fd))
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err == nil && n == 0:
			m.err = io.ErrUnexpectedEOF
			return true
		case err != nil:
			m.err = os.NewSyscallError("write", err)
			return true
		}
		m.off += n
		m.pending -= n
		m.d.delivered(n)
	}
	return true
}

// give writes some of the pending bytes.
func (m *mover) give(fd int) (int, error) {
	if m.pipe != nil {
		return m.pipe.drain(fd, m.pending)
	}
	return unix.Write(fd, m.buf[m.off:m.off+m.pending])
}

// release gives the pipe and the buffer back. A pipe that still holds bytes
// (the tunnel was cut) is closed instead.
func (m *mover) release() {
	if m.pipe != nil {
		putPipe(m.pipe, m.pending == 0)
		m.pipe = nil
	}
	if m.buf != nil {
		buffers.Put(m.buf)
		m.buf = nil
	}
}

// cannotSplice says that err is about the kind of descriptor or kernel, not
// about the connection.
func cannotSplice(err error) bool {
	return err == unix.EINVAL || err == unix.ENOSYS || err == unix.EPERM
}

// watchReset waits, after the end of src's stream, until the tunnel is over, and
// returns an error if src is reset before. Without it a peer that half-closed
// and then died would go unnoticed for as long as the other side is silent.
func watchReset(src net.Conn) error {
	raw := rawConn(src)
	if raw == nil {
		return nil
	}
	reset := false
	raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		reset = err == nil && n > 0 && fds[0].Revents&unix.POLLERR != 0
		return reset
	})
	if reset {
		return os.NewSyscallError("read", unix.ECONNRESET)
	}
	return nil
}
