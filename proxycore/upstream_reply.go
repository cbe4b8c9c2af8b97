// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"io"
)

// maxReplyHead bounds what an upstream may send before its tunnel is open, interim
// responses included.
const maxReplyHead = 8 << 10

// upstreamReply is an upstream's answer to CONNECT.
type upstreamReply struct {
	status int    // 0 when there is none
	early  []byte // what followed a head with a 2xx status
}

const (
	errStatusLine   headError = "the status line is not VERSION SP STATUS SP REASON (RFC 9112 section 4)"
	errReplySwitch  headError = "it switches protocols (RFC 9110 section 15.2.2)"
	errReplyInterim headError = "an interim response announces a body (RFC 9110 section 15.2)"
)

// replyParser parses the head of an upstream's reply while it arrives, as
// strictly as headParser does a request. Header fields are checked and forgotten:
// Content-Length and Transfer-Encoding mean nothing in a 2xx reply to CONNECT (RFC
// 9110 section 9.3.6). The zero value is ready.
type replyParser struct {
	lineScanner
	started bool // the status line has been seen
	code    int
	status  int // code, when it is that of a final response
}

// feed is like headParser.feed. A status other than 2xx is done with its line:
// what the upstream has to say about it goes nowhere.
func (p *replyParser) feed(buf []byte) (done bool, err error) {
	for {
		line, ok, err := p.next(buf)
		if !ok || err != nil {
			return false, err
		}
		switch {
		case !p.started:
			if err := p.statusLine(line); err != nil {
				return false, err
			}
			p.started = true
			if p.status != 0 && p.status/100 != 2 {
				return true, nil
			}
		case len(line) > 0:
			if err := p.field(line); err != nil {
				return false, err
			}
		case p.status != 0:
			return true, nil
		default:
			p.started = false // the end of an interim response
		}
	}
}

// statusLine accepts a line without the blank behind the status, too: that blank
// is required, but leaving it out is common, and nothing can be mistaken by it.
func (p *replyParser) statusLine(line []byte) error {
	const prefix = len("HTTP/1.1 ")
	if len(line) < prefix+3 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) && !bytes.HasPrefix(line, []byte("HTTP/1.0 ")) {
		return errStatusLine
	}
	code, rest := line[prefix:prefix+3], line[prefix+3:]
	if code[0] < '1' || code[0] > '5' || code[1] < '0' || code[1] > '9' || code[2] < '0' || code[2] > '9' || len(rest) > 0 && rest[0] != ' ' {
		return errStatusLine
	}
	p.code = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	switch {
	case p.code == 101:
		return errReplySwitch
	case p.code >= 200:
		p.status = p.code
	}
	return nil
}

func (p *replyParser) field(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return errFold
	}
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isToken(name) {
		return errFieldName
	}
	if p.status == 0 && (equalFold(name, "content-length") || equalFold(name, "transfer-encoding")) {
		return errReplyInterim
	}
	return nil
}

// readUpstreamReply reads an upstream's reply and gives an error unless it opens
// the tunnel. reply.status is set whenever there was a final one. What was read
// behind the head is in reply.early; nothing is read after the head is complete.
func readUpstreamReply(r io.Reader, limit int) (reply upstreamReply, err error) {
	pooled := headBuffers.Get().(*headBuffer)
	defer headBuffers.Put(pooled)
	buf := pooled[:min(limit, len(pooled))]
	var p replyParser
	for n := 0; ; {
		m, readErr := r.Read(buf[n:])
		n += m
		done, err := p.feed(buf[:n])
		reply.status = p.status
		switch {
		case err != nil:
			return reply, malformedReply(err)
		case done && p.status/100 != 2:
			return reply, statusError(p.status)
		case done:
			if p.off < n {
				reply.early = bytes.Clone(buf[p.off:n])
			}
			return reply, nil
		case readErr != nil:
			return reply, replyCutError(readErr, n > 0)
		case n == limit:
			return reply, malformedReply(errHeadTooLarge)
		case n == len(buf):
			buf = append(make([]byte, 0, limit), buf...)[:limit]
		}
	}
}
