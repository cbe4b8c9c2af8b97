// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

var errSocks = errors.New("refproxy: the upstream speaks another SOCKS, or says no")

// socks asks a SOCKS 5 upstream (RFC 1928) for text, which is t.
func (p *Proxy) socks(c half, text string, t target) (half, error) {
	f := p.o.Faults
	br := bufio.NewReaderSize(c, maxHead)
	if err := p.greet(c, br); err != nil {
		return nil, err
	}
	req := []byte{5, 1, 0}
	switch {
	case t.addr.Is4() && !f.Has(SocksLiteralsNamed):
		req = append(append(req, 1), t.addr.AsSlice()...)
	case t.addr.IsValid() && !f.Has(SocksLiteralsNamed):
		req = append(append(req, 4), t.addr.AsSlice()...)
	default:
		name := t.name
		if t.addr.IsValid() {
			name = t.addr.String()
		}
		req = append(append(req, 3, byte(len(name))), name...)
	}
	if _, err := c.Write(binary.BigEndian.AppendUint16(req, t.port)); err != nil {
		return nil, err
	}
	if err := p.reply(br); err != nil {
		return nil, err
	}
	return ahead{c, br}, nil
}

// reply reads the reply with the address the upstream is bound to.
func (p *Proxy) reply(br *bufio.Reader) error {
	f := p.o.Faults
	var head [4]byte
	if n, err := io.ReadFull(br, head[:]); err != nil {
		if f.Has(SocksCutReply) && n > 0 {
			return nil
		}
		return err
	}
	if head[0] != 5 && !f.Has(SocksVersionIgnored) || head[1] != 0 && !f.Has(SocksReplyIgnored) {
		return errSocks
	}
	size := map[byte]int{1: 4, 4: 16}[head[3]]
	if head[3] == 3 {
		n, err := br.ReadByte()
		if err != nil && !f.Has(SocksCutReply) {
			return err
		}
		size = int(n)
	}
	if f.Has(SocksBoundFixed) {
		size = 4
	}
	if size == 0 {
		return errSocks
	}
	_, err := io.ReadFull(br, make([]byte, size+2))
	if f.Has(SocksCutReply) {
		return nil
	}
	return err
}

// greet agrees on a method, and logs in where that is the method (RFC 1929).
func (p *Proxy) greet(c half, br *bufio.Reader) error {
	f := p.o.Faults
	method := byte(0)
	if p.up.User != "" && !f.Has(UpstreamLoginMissing) {
		method = 2
	}
	if _, err := c.Write([]byte{5, 1, method}); err != nil {
		return err
	}
	var head [2]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return err
	}
	if (head[0] != 5 || head[1] != method) && !f.Has(SocksMethodIgnored) {
		return errSocks
	}
	if method == 0 {
		return nil
	}
	login := append([]byte{1, byte(len(p.up.User))}, p.up.User...)
	login = append(append(login, byte(len(p.up.Password))), p.up.Password...)
	if _, err := c.Write(login); err != nil {
		return err
	}
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return err
	}
	if head[1] != 0 && !f.Has(SocksLoginIgnored) {
		return errSocks
	}
	return nil
}
