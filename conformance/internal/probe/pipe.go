// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Frames of the pipe: a type, a length of four bytes (big endian), that many bytes.
const (
	frameData  = 'd'
	frameEOF   = 'e' // the sending side is shut down
	frameReset = 'r' // the connection is, or has been, reset
	frameOpen  = 'o' // from inside: the connection to the proxy stands
	frameFail  = 'f' // from inside: it could not be made; the bytes say why
)

const maxFrame = 64 << 10

func writeFrame(w io.Writer, kind byte, p []byte) error {
	buf := make([]byte, 5+len(p))
	buf[0] = kind
	binary.BigEndian.PutUint32(buf[1:], uint32(len(p)))
	copy(buf[5:], p)
	_, err := w.Write(buf)
	return err
}

func readFrame(r io.Reader) (byte, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("conformance: a frame of %d bytes from the probe", n)
	}
	p := make([]byte, n)
	_, err := io.ReadFull(r, p)
	return head[0], p, err
}

// servePipe is the inner end: it connects to the proxy of the environment and carries bytes, ends and
// resets both ways, so that a check outside holds the connection as if it were its own.
func servePipe(in io.Reader, out io.Writer) error {
	addr, authorization, err := ProxyFromEnv(os.Getenv)
	if err != nil {
		return writeFrame(out, frameFail, []byte(err.Error()))
	}
	return carryPipe(in, out, authorization, func() (net.Conn, error) { return net.DialTimeout("tcp", addr, 10*time.Second) })
}

// carryPipe carries the connection that dial makes.
func carryPipe(in io.Reader, out io.Writer, authorization string, dial func() (net.Conn, error)) error {
	conn, err := dial()
	if err != nil {
		return writeFrame(out, frameFail, []byte(err.Error()))
	}
	tcp := conn.(*net.TCPConn)
	defer tcp.Close()
	if err := writeFrame(out, frameOpen, nil); err != nil {
		return err
	}
	go feed(in, tcp, authorization)
	buf := make([]byte, maxFrame)
	for {
		n, err := tcp.Read(buf)
		if n > 0 {
			if err := writeFrame(out, frameData, buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if err := writeFrame(out, frameEOF, nil); err != nil {
				return err
			}
			block() // the other direction may still be open; the outer end kills this process
		case err != nil:
			return writeFrame(out, frameReset, nil)
		}
	}
}

func feed(in io.Reader, tcp *net.TCPConn, authorization string) {
	to := &authorizer{w: tcp, value: authorization}
	for {
		kind, p, err := readFrame(in)
		switch {
		case err != nil:
			os.Exit(0) // the outer end is gone
		case kind == frameData:
			to.Write(p)
		case kind == frameEOF:
			tcp.CloseWrite()
		case kind == frameReset:
			tcp.SetLinger(0)
			tcp.Close()
			os.Exit(0)
		}
	}
}

// pipeConn is the outer end.
type pipeConn struct {
	cmd  *exec.Cmd
	in   *os.File // frames to the probe
	out  *os.File // frames from the probe
	once sync.Once
	// patience is how long the sandbox may take to end once its command has.
	patience time.Duration

	mu   sync.Mutex // guards writes
	rest []byte
	end  error
}

// Pipe starts cmd, a probe with OpPipe inside a sandbox, and returns the connection it makes to the
// proxy there. Closing the connection ends the process and waits for it.
func Pipe(cmd *exec.Cmd, timeout time.Duration) (Conn, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close())
	}
	cmd.Stdin, cmd.Stdout = inR, outW
	err = cmd.Start()
	inR.Close()
	outW.Close()
	c := &pipeConn{cmd: cmd, in: inW, out: outR, patience: timeout}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("conformance: starting the probe in the sandbox: %w", err), inW.Close(), outR.Close())
	}
	outR.SetReadDeadline(time.Now().Add(timeout))
	kind, p, err := readFrame(outR)
	if err != nil || kind != frameOpen {
		c.Close()
		return nil, fmt.Errorf("conformance: the probe in the sandbox does not reach the proxy: %s %w", p, errors.Join(err, errPipe))
	}
	outR.SetReadDeadline(time.Time{})
	return c, nil
}

var errPipe = errors.New("no connection")

func (c *pipeConn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.end != nil {
			return 0, c.end
		}
		kind, data, err := readFrame(c.out)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case err != nil:
			c.end = fmt.Errorf("conformance: the probe in the sandbox ended: %w", syscall.ECONNRESET)
		case kind == frameData:
			c.rest = data
		case kind == frameEOF:
			c.end = io.EOF
		default:
			c.end = syscall.ECONNRESET
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *pipeConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for len(p) > 0 {
		n := min(len(p), maxFrame)
		if err := writeFrame(c.in, frameData, p[:n]); err != nil {
			return total, err
		}
		total += n
		p = p[n:]
	}
	return total, nil
}

func (c *pipeConn) frame(kind byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return writeFrame(c.in, kind, nil)
}

func (c *pipeConn) CloseWrite() error { return c.frame(frameEOF) }

func (c *pipeConn) Reset() error { return errors.Join(c.frame(frameReset), c.Close()) }

// Close closes the pipes, which ends the probe, and waits for it. A sandbox that goes on without its command is
// killed: what becomes of it then is not for the one who only wanted a connection to say.
func (c *pipeConn) Close() error {
	c.once.Do(func() {
		c.in.Close()
		c.out.Close()
		kill := time.AfterFunc(c.patience, func() { c.cmd.Process.Kill() })
		defer kill.Stop()
		c.cmd.Wait()
	})
	return nil
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "sandbox" }
func (pipeAddr) String() string  { return "inside the sandbox" }

func (c *pipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }
func (c *pipeConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
func (c *pipeConn) SetReadDeadline(t time.Time) error  { return c.out.SetReadDeadline(t) }
func (c *pipeConn) SetWriteDeadline(t time.Time) error { return c.in.SetWriteDeadline(t) }
