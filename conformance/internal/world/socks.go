// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// Numbers of SOCKS 5, RFC 1928 and RFC 1929.
const (
	socksVersion   = 5
	methodNone     = 0
	methodPassword = 2
	noMethod       = 0xff
	commandConnect = 1
	kindIPv4       = 1
	kindName       = 3
	kindIPv6       = 4
)

// socks serves one client that speaks SOCKS 5.
func (u *Upstream) socks(c stream, br *bufio.Reader, v *visit) {
	s := u.now()
	if !u.greet(c, br, s, v) || !readSocksRequest(br, v) {
		return
	}
	s = u.now()
	v.Asked = true
	v.publish()
	if s.Refuse {
		u.conclude(c, br, s, v)
		return
	}
	origin, err := u.dial(v.Target)
	if err != nil {
		c.Write(socksReply(4))
		return
	}
	open := s.Head
	if open == "" {
		open = string(socksReply(0))
	}
	u.relay(c, br, origin, s, open)
}

// socksReply is the answer with a code and the address 0.0.0.0:0.
func socksReply(code byte) []byte {
	return []byte{socksVersion, code, 0, kindIPv4, 0, 0, 0, 0, 0, 0}
}

// greet agrees on a method and takes the credentials.
func (u *Upstream) greet(c stream, br *bufio.Reader, s Script, v *visit) bool {
	var head [2]byte
	if _, err := io.ReadFull(br, head[:]); err != nil || head[0] != socksVersion {
		return false
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(br, methods); err != nil {
		return false
	}
	if s.Method != "" {
		_, err := io.WriteString(c, s.Method)
		return err == nil
	}
	asks := s.User != "" || s.Password != "" || s.Login != ""
	switch {
	case asks && bytes.IndexByte(methods, methodPassword) < 0, !asks && bytes.IndexByte(methods, methodNone) < 0 &&
		bytes.IndexByte(methods, methodPassword) < 0:
		c.Write([]byte{socksVersion, noMethod})
		return false
	case bytes.IndexByte(methods, methodPassword) < 0:
		_, err := c.Write([]byte{socksVersion, methodNone})
		return err == nil
	}
	c.Write([]byte{socksVersion, methodPassword})
	return u.login(c, br, s, v)
}

func (u *Upstream) login(c stream, br *bufio.Reader, s Script, v *visit) bool {
	version, err := br.ReadByte()
	if err != nil || version != 1 {
		return false
	}
	var words [2]string
	for i := range words {
		n, err := br.ReadByte()
		if err != nil {
			return false
		}
		word := make([]byte, n)
		if _, err := io.ReadFull(br, word); err != nil {
			return false
		}
		words[i] = string(word)
	}
	v.User, v.Password, v.Credentials = words[0], words[1], true
	v.publish()
	if s.Login != "" {
		_, err := io.WriteString(c, s.Login)
		return err == nil
	}
	if !s.admits(v.Visit) {
		c.Write([]byte{1, 1})
		return false
	}
	_, err = c.Write([]byte{1, 0})
	return err == nil
}

// readSocksRequest reads a request to connect.
func readSocksRequest(br *bufio.Reader, v *visit) bool {
	var head [4]byte
	if _, err := io.ReadFull(br, head[:]); err != nil || head[0] != socksVersion || head[1] != commandConnect {
		return false
	}
	size := map[byte]int{kindIPv4: 4, kindIPv6: 16}[head[3]]
	if head[3] == kindName {
		n, err := br.ReadByte()
		if err != nil {
			return false
		}
		size = int(n)
	}
	rest := make([]byte, size+2)
	if _, err := io.ReadFull(br, rest); err != nil {
		return false
	}
	host := string(rest[:size])
	if head[3] != kindName {
		a, _ := netip.AddrFromSlice(rest[:size])
		host, v.Literal = a.String(), true
	}
	v.Target = net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(rest[size:]))))
	return true
}
