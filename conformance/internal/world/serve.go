// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// stream is a connection with two directions that end apart.
type stream interface {
	net.Conn
	CloseWrite() error
}

// serve is the life of one connection to the upstream.
func (u *Upstream) serve(c net.Conn, v *visit) {
	br := bufio.NewReaderSize(c, 64<<10)
	first, err := br.Peek(1)
	if err != nil {
		return
	}
	if first[0] == markerText[0] {
		const n = len(markerText) + 12
		if text, _ := br.Peek(n); u.marker(string(text), v) {
			return
		}
	}
	s := u.now()
	switch {
	case v.Way == WaySOCKS:
		u.socks(c.(stream), br, v)
	case v.Way == WayTLS && first[0] != 0x16: // no TLS handshake
		text, _ := br.Peek(br.Buffered())
		v.First = string(text)
		v.publish()
	case v.Way == WayTLS && s.Clear:
		u.conclude(c, br, s, v)
	case v.Way == WayTLS:
		u.tls(c, br, v)
	default:
		u.connect(c.(stream), br, v)
	}
}

// behind is a connection with what a reader has already taken out of it.
type behind struct {
	net.Conn
	r io.Reader
}

func (b behind) Read(p []byte) (int, error) { return b.r.Read(p) }

func (u *Upstream) tls(c net.Conn, br *bufio.Reader, v *visit) {
	t := tls.Server(behind{c, br}, &tls.Config{
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			v.SNI = h.ServerName
			return u.keys.certificates[u.now().Certificate], nil
		},
	})
	if t.Handshake() == nil {
		u.connect(t, bufio.NewReaderSize(t, 64<<10), v)
	}
}

// maxRequest bounds the head of a request.
const maxRequest = 64 << 10

// connect serves one CONNECT request.
func (u *Upstream) connect(c stream, br *bufio.Reader, v *visit) {
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := br.ReadString('\n')
		head.WriteString(line)
		if err != nil || head.Len() > maxRequest {
			v.Head = head.String()
			return
		}
	}
	v.Head = head.String()
	method, rest, _ := strings.Cut(v.Head, " ")
	target, _, _ := strings.Cut(rest, " ")
	_, err := netip.ParseAddrPort(target)
	v.Target, v.Literal = target, err == nil
	v.basic()
	s := u.now()
	v.Asked = true
	v.publish()
	switch {
	case s.Refuse:
		u.conclude(c, br, s, v)
	case method != "CONNECT":
		io.WriteString(c, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	case !s.admits(v.Visit):
		io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"corp\"\r\n"+
			"Content-Length: 0\r\nConnection: close\r\n\r\n")
	default:
		origin, err := u.dial(target)
		if err != nil {
			io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		}
		open := s.Head
		if open == "" {
			open = "HTTP/1.1 200 Connection established\r\n\r\n"
		}
		u.relay(c, br, origin, s, open)
	}
}

// admits reports whether the credentials are those the script asks for.
func (s Script) admits(v Visit) bool {
	return s.User == "" && s.Password == "" || v.Credentials && v.User == s.User && v.Password == s.Password
}

// conclude is the end of a connection that gets no tunnel.
func (u *Upstream) conclude(c net.Conn, br *bufio.Reader, s Script, v *visit) {
	if t, ok := c.(*net.TCPConn); ok && s.Then == Flood {
		t.SetWriteBuffer(64 << 10)
	}
	if s.Then == Drip {
		drip(c, s.Answer)
		return
	}
	if _, err := io.WriteString(c, s.Opening); err != nil {
		return
	}
	for {
		n, err := io.WriteString(c, s.Answer)
		v.Taken += int64(n)
		if err != nil {
			return
		}
		if s.Then != Flood || v.Taken >= FloodSize {
			break
		}
	}
	if s.Then != Close {
		io.Copy(io.Discard, br)
		return
	}
	if w, ok := c.(stream); ok {
		w.CloseWrite()
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	io.Copy(io.Discard, br) // else what has come meanwhile would turn the end into a reset
}

// drip sends text in single bytes until the peer ends.
func drip(c net.Conn, text string) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-over:
			return
		case <-tick.C:
			if len(text) == 0 {
				continue
			}
			if _, err := io.WriteString(c, text[min(i, len(text)-1):][:1]); err != nil {
				c.Close()
				<-over
				return
			}
		}
	}
}

// dial connects to an origin from an address of the upstream's. Names are those of the world, and no name server is
// asked: whoever asks it is the subject.
func (u *Upstream) dial(target string) (*net.TCPConn, error) {
	at, err := netip.ParseAddrPort(target)
	if err != nil {
		host, port, _ := net.SplitHostPort(target)
		addr := u.w.Addr(strings.ToLower(strings.TrimSuffix(host, ".")))
		if !addr.IsValid() {
			return nil, err
		}
		if at, err = netip.ParseAddrPort(net.JoinHostPort(addr.String(), port)); err != nil {
			return nil, err
		}
	}
	at = unmap(at)
	from := upstreamAddr
	if at.Addr().Is6() {
		from = upstreamAddr6
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: 10 * time.Second}
	c, err := d.Dial("tcp", at.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// relay opens the tunnel and carries it until both directions have ended.
func (u *Upstream) relay(c stream, br *bufio.Reader, origin *net.TCPConn, s Script, open string) {
	if !u.track(origin) {
		origin.Close()
		return
	}
	defer u.untrack(origin)
	all := open + s.Behind
	if s.Pieces {
		for _, n := range []int{1, len(all) - 3} {
			io.WriteString(c, all[:n])
			all = all[n:]
			// Nothing depends on how long: it makes reads that find but a part likely.
			<-time.After(100 * time.Millisecond)
		}
	}
	if _, err := io.WriteString(c, all); err != nil {
		return
	}
	var wg sync.WaitGroup
	carry := func(to stream, from io.Reader) {
		if _, err := io.Copy(to, from); err != nil {
			c.Close()
			origin.Close()
			return
		}
		to.CloseWrite()
	}
	wg.Go(func() { carry(origin, br) })
	wg.Go(func() { carry(c, origin) })
	wg.Wait()
}
