// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"sync"
)

// requestHead is what the server uses of a request head. Field values other
// than these are checked and forgotten: they decide nothing.
type requestHead struct {
	method string
	target string // the request-target as sent; not yet a Target
}

// headError says what is wrong with a request head. The text is fixed and
// carries nothing of the input, so that it can be sent back and logged.
type headError string

func (e headError) Error() string { return "proxycore: request head: " + string(e) }

const (
	errBareLF       headError = "a line ends in a bare LF (RFC 9112 section 2.2)"
	errBareCR       headError = "a CR is not followed by a LF (RFC 9112 section 2.2)"
	errControl      headError = "it contains a control character (RFC 9110 section 5.5)"
	errBlankLines   headError = "more than one empty line comes before it (RFC 9112 section 2.2)"
	errRequestLine  headError = "the request line is not METHOD SP TARGET SP VERSION (RFC 9112 section 3)"
	errMethod       headError = "the method is not a token (RFC 9110 section 9.1)"
	errVersion      headError = "the version is neither HTTP/1.1 nor HTTP/1.0"
	errFold         headError = "a header line begins with white space (RFC 9112 section 5.2)"
	errFieldName    headError = "a header line has no valid name before its colon (RFC 9112 section 5.1)"
	errHostMissing  headError = "HTTP/1.1 without a Host field (RFC 9112 section 3.2)"
	errHostTwice    headError = "more than one Host field (RFC 9112 section 3.2)"
	errHostInvalid  headError = "the Host field is not a host with an optional port (RFC 9112 section 3.2)"
	errConnectBody  headError = "CONNECT with Content-Length or Transfer-Encoding (RFC 9110 section 9.3.6)"
	errHeadTooLarge headError = "it is larger than the proxy accepts"
	errHeadTooSlow  headError = "it did not arrive in time"
	errHeadCut      headError = "the connection ended in the middle of it"
)

// headParser parses a request head while it arrives. It is strict where RFC 9112
// lets a recipient be lenient: two readers of one head must never see two
// different requests. The zero value is ready.
type headParser struct {
	lineScanner
	blank   bool // the one tolerated empty line has been seen
	started bool // the request line has been seen
	http10  bool
	hosts   int
	body    bool // it announces a body
	head    requestHead
}

// feed examines what buf holds beyond the bytes already examined; buf always
// begins with the first byte received. done says that the head is complete and
// buf[p.off:] is what follows it. A malformed head is reported by the first byte
// that makes it so, without waiting for its end.
func (p *headParser) feed(buf []byte) (done bool, err error) {
	for {
		line, ok, err := p.next(buf)
		if !ok || err != nil {
			return false, err
		}
		if done, err = p.endLine(line); done || err != nil {
			return done, err
		}
	}
}

// lineScanner finds the lines of a head while it arrives. The zero value is ready.
type lineScanner struct {
	off  int // bytes examined; behind the last line, where the next begins
	line int // where the current line begins
}

// next gives the next line without its end, or ok false when buf does not have
// all of it yet. buf always begins with the first byte received.
func (s *lineScanner) next(buf []byte) (line []byte, ok bool, err error) {
	for s.off < len(buf) {
		c := buf[s.off]
		afterCR := s.off > s.line && buf[s.off-1] == '\r'
		s.off++
		switch {
		case c == '\n' && !afterCR:
			return nil, false, errBareLF
		case c == '\n':
			line = buf[s.line : s.off-2]
			s.line = s.off
			return line, true, nil
		case afterCR:
			return nil, false, errBareCR
		case c == '\r' || c == '\t':
		case c < ' ' || c == 0x7f:
			return nil, false, errControl
		}
	}
	return nil, false, nil
}

// endLine takes one line without its end.
func (p *headParser) endLine(line []byte) (done bool, err error) {
	switch {
	case !p.started && len(line) > 0:
		p.started = true
		return false, p.requestLine(line)
	case !p.started:
		if p.blank {
			return false, errBlankLines
		}
		p.blank = true
		return false, nil
	case len(line) > 0:
		return false, p.field(line)
	}
	err = p.finish()
	return err == nil, err
}

func (p *headParser) requestLine(line []byte) error {
	method, rest, ok1 := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok1 || !ok2 || len(target) == 0 || bytes.IndexByte(target, '\t') >= 0 {
		return errRequestLine
	}
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		p.http10 = true
	default:
		return errVersion
	}
	if !isToken(method) {
		return errMethod
	}
	p.head.method = http.MethodConnect
	if string(method) != http.MethodConnect {
		p.head.method = string(method)
	}
	p.head.target = string(target)
	return nil
}

func (p *headParser) field(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFold
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isToken(name) {
		return errFieldName
	}
	value = bytes.Trim(value, " \t")
	switch {
	case equalFold(name, "host"):
		p.hosts++
		if p.hosts > 1 {
			return errHostTwice
		}
		if !isHostField(value) {
			return errHostInvalid
		}
	case equalFold(name, "transfer-encoding"):
		p.body = true
	case equalFold(name, "content-length"):
		// "0" announces no body; any other spelling of it, "0, 0" say, is a riddle.
		p.body = p.body || string(value) != "0"
	}
	return nil
}

func (p *headParser) finish() error {
	if p.hosts == 0 && !p.http10 {
		return errHostMissing
	}
	if p.body && p.head.method == http.MethodConnect {
		return errConnectBody
	}
	return nil
}

// isToken reports whether b is a token (RFC 9110 section 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !isAlnum(c) && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// equalFold compares an ASCII name with a lower-case one.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isHostField reports whether v is one host with an optional port. The value
// never decides anything; it is checked because a lenient Host is how two
// readers of one request come to disagree.
func isHostField(v []byte) bool {
	host, port := v, []byte(nil)
	if len(v) > 0 && v[0] == '[' {
		end := bytes.IndexByte(v, ']')
		if end < 2 {
			return false
		}
		host, port = v[1:end], v[end+1:]
		for _, c := range host {
			if c != ':' && c != '.' && !isAlnum(c) {
				return false
			}
		}
	} else {
		if i := bytes.IndexByte(v, ':'); i >= 0 {
			host, port = v[:i], v[i:]
		}
		for _, c := range host {
			if c != '-' && c != '.' && c != '_' && c < 0x80 && !isAlnum(c) {
				return false
			}
		}
	}
	if len(port) > 0 && port[0] != ':' {
		return false
	}
	for _, c := range port[min(1, len(port)):] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(host) > 0
}

// headBuffer is what heads are read into at first; hardly any is larger.
type headBuffer [2 << 10]byte

var headBuffers = sync.Pool{New: func() any { return new(headBuffer) }}

// readHead reads one request head from c, of which early has been read already. rest is a copy of what was read
// behind it, nil if nothing was. Nothing is read after the head is complete.
// got says whether any byte arrived. The caller sets the deadline, once, so that
// a head that comes byte by byte has no more time than another.
func readHead(c net.Conn, early []byte, limit int) (h requestHead, rest []byte, got bool, err error) {
	pooled := headBuffers.Get().(*headBuffer)
	defer headBuffers.Put(pooled)
	buf := pooled[:min(limit, len(pooled))]
	var p headParser
	for n := copy(buf, early); ; {
		var readErr error
		if early == nil {
			var m int
			m, readErr = c.Read(buf[n:])
			n += m
		}
		early = nil
		done, err := p.feed(buf[:n])
		if err != nil {
			return p.head, nil, n > 0, err
		}
		if done {
			if p.off < n {
				rest = bytes.Clone(buf[p.off:n])
			}
			return p.head, rest, true, nil
		}
		if readErr != nil {
			return p.head, nil, n > 0, headReadError(readErr)
		}
		if n == limit {
			return p.head, nil, true, errHeadTooLarge
		}
		if n == len(buf) {
			buf = append(make([]byte, 0, limit), buf...)[:limit]
		}
	}
}

// headReadError turns a failed read into what it means for the head.
func headReadError(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errHeadTooSlow
	}
	return errors.Join(errHeadCut, err)
}
