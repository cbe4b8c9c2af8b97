// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// chained is handle for a proxy with an upstream: the policy first, then the upstream, and nobody else.
func (p *Proxy) chained(c net.Conn, br *bufio.Reader, req *request, t target) int {
	f := p.o.Faults
	admitted := p.admitted(req, t) || f.Has(ChainLiteralsOpen) && t.addr.IsValid() || f.Has(ChainEmptyPolicy) && len(p.o.Allow) == 0
	if !admitted && !f.Has(ChainedFirst) {
		return p.denial(c, 403)
	}
	origin, err := p.through(req, t)
	if !admitted {
		if err == nil {
			origin.Close()
		}
		return p.denial(c, 403)
	}
	if err != nil && f.Has(UpstreamFallsBack) {
		if addrs, status := p.decide(req, t); status == 0 {
			var direct *net.TCPConn
			if direct, err = p.dial(c, t, addrs); err == nil {
				origin = direct
			}
		}
	}
	if err != nil {
		var refused *refusedError
		errors.As(err, &refused)
		if refused != nil && f.Has(ChainAnswerShown) || f.Has(LoginShown) && p.up.User != "" {
			answer := ""
			if refused != nil {
				answer = refused.answer
			}
			p.explain(c, answer)
			return 0
		}
		if f.Has(DialFailureForbidden) {
			return 403
		}
		return 502
	}
	p.established(c)
	if f.Has(LoginToOrigin) && p.up.User != "" {
		io.WriteString(origin, "Proxy-Authorization: "+p.up.basic()+"\r\n")
	}
	p.tunnel(c, br, origin)
	return 0
}

// refusedError is an upstream that answers otherwise than by opening the tunnel.
type refusedError struct{ answer string }

func (e *refusedError) Error() string {
	return fmt.Sprintf("refproxy: the upstream answers %.40q", e.answer)
}

// through makes the tunnel.
func (p *Proxy) through(req *request, t target) (half, error) {
	f := p.o.Faults
	host := t.name
	if t.addr.IsValid() {
		host = t.addr.String()
	}
	if f.Has(ChainResolves) && t.name != "" {
		addrs, err := p.lookup(t.name)
		if err != nil || len(addrs) == 0 {
			return nil, errors.New("refproxy: no such name")
		}
		t.addr = addrs[0].Unmap()
		host = t.addr.String()
	}
	text := net.JoinHostPort(host, strconv.Itoa(int(t.port)))
	if f.Has(ChainedTwice) {
		if c, err := p.connect(req, text, t); err == nil {
			c.Close()
		}
	}
	p.up.mu.Lock()
	failed := p.up.failed
	p.up.mu.Unlock()
	if failed && f.Has(UpstreamStaysDown) {
		return nil, errors.New("refproxy: the upstream was down")
	}
	c, err := p.connect(req, text, t)
	if err != nil {
		p.up.mu.Lock()
		p.up.failed = true
		p.up.mu.Unlock()
	}
	return c, err
}

// connect connects to the upstream and asks it for text, which is t.
func (p *Proxy) connect(req *request, text string, t target) (half, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	c, err := p.reach(ctx)
	if err != nil {
		return nil, err
	}
	if !p.track(c) {
		c.Close()
		return nil, net.ErrClosed
	}
	if !p.o.Faults.Has(UpstreamPatient) {
		c.SetDeadline(time.Now().Add(dialTimeout))
	}
	out := c
	if p.up.scheme == "socks5h" {
		out, err = p.socks(c, text, t)
	} else {
		out, err = p.ask(c, req, text)
	}
	if err != nil {
		p.leave(c)
		return nil, err
	}
	p.forget(c)
	c.SetDeadline(time.Time{})
	return out, nil
}

// forget undoes track without closing.
func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// leave ends a connection to an upstream that has refused.
func (p *Proxy) leave(c net.Conn) {
	if !p.o.Faults.Has(UpstreamKept) {
		p.untrack(c)
		return
	}
	p.up.mu.Lock()
	defer p.up.mu.Unlock()
	p.up.left = append(p.up.left, c)
}

// reach connects, with TLS where the URL says so.
func (p *Proxy) reach(ctx context.Context) (half, error) {
	f := p.o.Faults
	c, err := (&net.Dialer{}).DialContext(ctx, p.up.network, p.up.address)
	if err != nil {
		return nil, err
	}
	if p.up.scheme != "https" || f.Has(TLSInClear) {
		return c.(half), nil
	}
	t := tls.Client(c, &tls.Config{ServerName: p.up.host, RootCAs: p.up.roots, InsecureSkipVerify: f.Has(TLSUnverified)})
	if err := t.HandshakeContext(ctx); err != nil {
		c.Close()
		if !f.Has(TLSFallsBack) {
			return nil, err
		}
		if c, err = (&net.Dialer{}).DialContext(ctx, p.up.network, p.up.address); err != nil {
			return nil, err
		}
		return c.(half), nil
	}
	if f.Has(TLSEndLost) {
		return endless{t}, nil
	}
	return t, nil
}

// endless is a connection whose sending side does not end.
type endless struct{ half }

func (endless) CloseWrite() error { return nil }

func (u *upstream) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User+":"+u.Password))
}

// ask sends a CONNECT request and reads the answer.
func (p *Proxy) ask(c half, req *request, text string) (half, error) {
	f := p.o.Faults
	host := text
	if f.Has(ChainHostWrong) {
		host = p.up.address
	}
	head := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n", text, host)
	if p.up.User != "" && !f.Has(UpstreamLoginMissing) {
		head += "Proxy-Authorization: " + p.up.basic() + "\r\n"
	}
	if f.Has(ClientLoginChained) && req.credentials != "" {
		head += "Proxy-Authorization: " + req.credentials + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(c, maxHead)
	answer, err := p.answer(c, br)
	if err != nil {
		return nil, err
	}
	if f.Has(ChainFraming) {
		skip(br, answer)
	}
	if f.Has(ChainBytesLost) {
		br.Discard(br.Buffered())
	}
	return ahead{c, br}, nil
}

// ahead is a connection of which something was already read.
type ahead struct {
	half
	r *bufio.Reader
}

func (a ahead) Read(b []byte) (int, error) { return a.r.Read(b) }

// answer reads heads until one of them is no interim answer, and returns it if it opens the tunnel.
func (p *Proxy) answer(c half, br *bufio.Reader) (string, error) {
	f := p.o.Faults
	left := maxHead
	for {
		head, err := p.answerHead(c, br, &left)
		if err != nil {
			return head, err
		}
		line, _, _ := strings.Cut(head, "\r\n")
		status, ok := statusOf(line)
		switch {
		case f.Has(ChainAnyAnswer) && ok, f.Has(ChainGarbage) && !ok, f.Has(ChainInterim) && status/100 == 1, status/100 == 2:
			return head, nil
		case status/100 == 1 && f.Has(ChainInterimEndless):
			io.Copy(io.Discard, br)
		case status/100 == 1 && status != 101:
			continue
		}
		if n := length(head); n > 0 && f.Has(ChainAnswerShown) {
			body := make([]byte, n)
			n, _ = io.ReadFull(br, body)
			head += string(body[:n])
		}
		return head, &refusedError{head}
	}
}

// answerHead reads one head; left is what may still come.
func (p *Proxy) answerHead(c half, br *bufio.Reader, left *int) (string, error) {
	f := p.o.Faults
	var head []byte
	for n := 0; !bytes.HasSuffix(head, []byte("\r\n\r\n")); n++ {
		if *left == 0 && f.Has(ChainHeadEndless) {
			io.Copy(io.Discard, br)
		}
		if *left == 0 {
			return "", &refusedError{string(head)}
		}
		if f.Has(ChainTimeRenewed) {
			c.SetReadDeadline(time.Now().Add(dialTimeout))
		}
		b, err := br.ReadByte()
		if err != nil && f.Has(ChainCutHead) && errors.Is(err, io.EOF) && len(head) >= len("HTTP/1.1 200") {
			return string(head), nil
		}
		if err != nil {
			return "", fmt.Errorf("refproxy: in the head of the upstream's answer: %w", err)
		}
		if n == 0 && f.Has(ChainOneRead) && br.Buffered() < len("HTTP/1.1 200") {
			return "", errors.New("refproxy: half an answer")
		}
		*left--
		head = append(head, b)
	}
	return string(head), nil
}

// statusOf reads a status line in its only spelling.
func statusOf(line string) (int, bool) {
	proto, rest, ok := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if !ok || proto != "HTTP/1.1" && proto != "HTTP/1.0" || len(code) != 3 || err != nil || n < 100 {
		return 0, false
	}
	return int(n), true
}

// length is the length of the body a head announces.
func length(head string) int {
	_, rest, ok := strings.Cut(head, "Content-Length: ")
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n > maxHead {
		return 0
	}
	return n
}

// skip drops the body a head announces, for the fault ChainFraming.
func skip(br *bufio.Reader, head string) {
	if strings.Contains(head, "chunked") {
		br.ReadString('0')
		br.Discard(4)
		return
	}
	br.Discard(length(head))
}
