// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

type half interface {
	net.Conn
	CloseWrite() error
}

// tunnel relays until both directions have ended; an error in one of them ends both.
func (p *Proxy) tunnel(client net.Conn, br *bufio.Reader, origin half) {
	f := p.o.Faults
	if f.Has(CloseKeepsOrigins) {
		defer p.keep(origin)
	} else {
		if !p.track(origin) {
			origin.Close()
			return
		}
		defer p.untrack(origin)
	}
	if !f.Has(TunnelHeadTimeout) {
		client.SetReadDeadline(time.Time{})
	}
	c := client.(half)
	var once sync.Once
	cut := func() {
		once.Do(func() {
			if f.Has(OriginKept) || f.Has(CloseKeepsOrigins) {
				reset(client)
				return
			}
			if f.Has(ClientKept) {
				reset(origin)
				return
			}
			reset(origin)
			reset(client)
		})
	}
	p.count(+1)
	defer p.count(-1)
	var wg sync.WaitGroup
	spoke := make(chan struct{})
	wg.Go(func() { p.direction(origin, &up{Reader: br, Conn: c, spoke: spoke}, c, cut, true) })
	wg.Go(func() {
		if f.Has(WaitsForClient) {
			<-spoke
		}
		p.direction(c, origin, origin, cut, false)
	})
	wg.Wait()
	if f.Has(OriginKept) || f.Has(ClientKept) {
		<-p.ctx.Done()
	}
}

// up reads what came behind the head first, and closes spoke when the client has sent something or ended.
type up struct {
	*bufio.Reader
	net.Conn
	spoke chan struct{}
	once  sync.Once
}

func (u *up) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	u.once.Do(func() { close(u.spoke) })
	return n, err
}

// direction copies one way and passes the end on.
func (p *Proxy) direction(dst half, src io.Reader, from half, cut func(), up bool) {
	f := p.o.Faults
	err := p.copy(dst, src, up)
	if err != nil {
		if f.Has(InjectsAnswer) && !up {
			io.WriteString(dst, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		}
		cut()
		return
	}
	switch {
	case f.Has(EndsBoth):
		cut()
	case f.Has(UpEndLost) && up, f.Has(DownEndLost) && !up:
	default:
		dst.CloseWrite()
	}
}

// keep closes an origin's connection long after everybody has forgotten it.
func (p *Proxy) keep(origin net.Conn) {
	time.AfterFunc(time.Minute, func() { origin.Close() })
}

func (p *Proxy) count(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live += n
}

// mix puts bytes of one tunnel into another when there are many.
func (p *Proxy) mix(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.chunk
	p.chunk = append([]byte(nil), b...)
	if p.live >= 4 {
		copy(b, old)
	}
}

var oneAtATime sync.Mutex

// copy is io.Copy with places for faults; nil means that the source has ended in good order.
func (p *Proxy) copy(dst io.Writer, src io.Reader, up bool) error {
	f := p.o.Faults
	buf := make([]byte, 32<<10)
	total := 0
	for {
		n, err := src.Read(buf)
		b := buf[:n]
		if f.Has(Truncates) && total+n > 64<<10 {
			return nil
		}
		if f.Has(FlipsByte) && total <= 1<<20 && total+n > 1<<20 {
			b[1<<20-total] ^= 1
		}
		total += n
		if n > 0 {
			if f.Has(MixesTunnels) {
				p.mix(b)
			}
			if f.Has(StallsOthers) {
				oneAtATime.Lock()
			}
			_, werr := dst.Write(b)
			if f.Has(StallsOthers) {
				oneAtATime.Unlock()
			}
			if werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reset closes so that the peer sees a reset rather than an orderly end.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}
