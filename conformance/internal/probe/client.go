// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package probe is the suite's own client. Outside a sandbox it is a byte-exact HTTP CONNECT client;
// inside, it is a program: any binary that imports this package becomes it when it is started with
// the right first argument, so that nothing has to be installed in the sandbox.
//
// It shares no code with any proxy and does not use net/http, which would refuse to send, and quietly
// mend, most of what the checks are about.
package probe

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Conn is a connection to a proxy.
type Conn interface {
	net.Conn
	// CloseWrite shuts the sending side down.
	CloseWrite() error
	// Reset ends the connection the rough way: with RST where the transport has it.
	Reset() error
}

// tcpConn adds Reset to a TCP connection.
type tcpConn struct{ *net.TCPConn }

func (c tcpConn) Reset() error { return errors.Join(c.SetLinger(0), c.Close()) }

// unixConn adds Reset to a unix stream, which knows no RST: an ordinary close has to do.
type unixConn struct{ *net.UnixConn }

func (c unixConn) Reset() error { return c.Close() }

// Dial connects to a proxy's TCP or unix address.
func Dial(addr net.Addr, timeout time.Duration) (Conn, error) {
	c, err := net.DialTimeout(addr.Network(), addr.String(), timeout)
	if err != nil {
		return nil, fmt.Errorf("conformance: connecting to the proxy: %w", err)
	}
	switch c := c.(type) {
	case *net.TCPConn:
		return tcpConn{c}, nil
	case *net.UnixConn:
		return unixConn{c}, nil
	}
	return nil, errors.Join(fmt.Errorf("conformance: no proxy address: %s %s", addr.Network(), addr), c.Close())
}

// Field is one header field as it came.
type Field struct{ Name, Value string }

// Response is what a proxy answered.
type Response struct {
	// Proto and Status are of the status line; Status is 0 when there was none.
	Proto  string
	Status int
	// Fields are the header fields in order.
	Fields []Field
	// Body is the body of a refusal. A 2xx answer to CONNECT has none.
	Body []byte
	// Complete says that head and body came whole.
	Complete bool
	// Err is why reading ended before the response was complete: io.EOF, a reset, a deadline.
	Err error
}

// Field returns the values of a field; nil when it is absent.
func (r Response) Field(name string) []string {
	var out []string
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Value)
		}
	}
	return out
}

// OK reports that the answer is 2xx: the tunnel is open.
func (r Response) OK() bool { return r.Status/100 == 2 }

// Ended reports that the proxy ended the connection without a response.
func (r Response) Ended() bool { return r.Status == 0 && Ended(r.Err) }

// TimedOut reports that no response came in time.
func (r Response) TimedOut() bool { return errors.Is(r.Err, os.ErrDeadlineExceeded) }

// Ended reports that err says the peer ended the connection, orderly or not.
func Ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// String is the answer in one line.
func (r Response) String() string {
	switch {
	case r.Status != 0 && r.Complete:
		return strconv.Itoa(r.Status)
	case r.Status != 0:
		return fmt.Sprintf("%d, incomplete (%v)", r.Status, r.Err)
	case r.TimedOut():
		return "no answer in time"
	case r.Ended():
		return "the connection ended without an answer"
	}
	return fmt.Sprintf("no answer (%v)", r.Err)
}

// maxBody bounds what a broken proxy can make the suite read.
const maxBody = 1 << 20

// ReadResponse reads one answer. method is that of the request: an answer to HEAD has no body.
func ReadResponse(r *bufio.Reader, method string) Response {
	var resp Response
	line, err := readLine(r)
	if err != nil {
		resp.Err = err
		return resp
	}
	proto, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(proto, "HTTP/") || len(code) != 3 {
		resp.Err = fmt.Errorf("conformance: not a status line: %.80q", line)
		return resp
	}
	resp.Proto, resp.Status = proto, status
	for {
		line, err := readLine(r)
		if err != nil {
			resp.Err = err
			return resp
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		resp.Fields = append(resp.Fields, Field{name, strings.Trim(value, " \t")})
	}
	if (method == "CONNECT" && resp.OK()) || method == "HEAD" || status == 204 || status == 304 {
		resp.Complete = true
		return resp
	}
	resp.Body, resp.Err = readBody(r, resp)
	resp.Complete = resp.Err == nil
	return resp
}

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < 64<<10 {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		return strings.TrimRight(string(line), "\r\n"), nil
	}
	return "", errors.New("conformance: a line of the answer is longer than 64 KiB")
}

func readBody(r *bufio.Reader, resp Response) ([]byte, error) {
	if te := resp.Field("Transfer-Encoding"); len(te) > 0 && strings.EqualFold(te[0], "chunked") {
		return readChunks(r)
	}
	cl := resp.Field("Content-Length")
	if len(cl) == 0 {
		return io.ReadAll(io.LimitReader(r, maxBody))
	}
	n, err := strconv.ParseInt(cl[0], 10, 64)
	if err != nil || n < 0 || n > maxBody {
		return nil, fmt.Errorf("conformance: Content-Length %.40q", cl[0])
	}
	body := make([]byte, n)
	if got, err := io.ReadFull(r, body); err != nil {
		return body[:got], err
	}
	return body, nil
}

func readChunks(r *bufio.Reader) ([]byte, error) {
	var body bytes.Buffer
	for body.Len() < maxBody {
		line, err := readLine(r)
		if err != nil {
			return body.Bytes(), err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 32)
		if err != nil {
			return body.Bytes(), fmt.Errorf("conformance: chunk size %.40q", line)
		}
		if _, err := io.CopyN(&body, r, n); err != nil {
			return body.Bytes(), err
		}
		if _, err := readLine(r); err != nil {
			return body.Bytes(), err
		}
		if n == 0 {
			return body.Bytes(), nil
		}
	}
	return body.Bytes(), errors.New("conformance: the body is too large")
}
