// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Ask is the query of the action "query". The messages are written and read here, by nobody's library, since most of
// what the checks want to know a library would mend.
type Ask struct {
	Name string `json:"name"`
	// Type is the number of the record type.
	Type uint16 `json:"type"`
	// EDNS adds an OPT record (RFC 6891).
	EDNS bool `json:"edns,omitempty"`
	// Raw, if not empty, is sent first: a message that gets no answer, or an error, and must not keep the query behind
	// it from being answered. Over TCP it has a connection of its own.
	Raw []byte `json:"raw,omitempty"`
}

// Reply is what came back with the id of the query.
type Reply struct {
	RCode int `json:"rcode"`
	// Response, Question and Available: it is a response, with the question as it was asked, byte by byte, and says that
	// recursion is available.
	Response  bool `json:"response"`
	Question  bool `json:"question"`
	Available bool `json:"available"`
	Truncated bool `json:"truncated,omitempty"`
	// Answers counts the records of the answer section, Addrs are the addresses among them.
	Answers int      `json:"answers"`
	Addrs   []string `json:"addrs,omitempty"`
	// OPT counts the OPT records; Extended are the codes of the extended errors (RFC 8914).
	OPT      int   `json:"opt,omitempty"`
	Extended []int `json:"extended,omitempty"`
	// Strays are the messages that came before it with another id, in response to Raw: their RCODEs.
	Strays []int `json:"strays,omitempty"`
}

// Types of records that checks name.
const (
	TypeA, TypeAAAA = 1, 28
	typeOPT         = 41
)

const (
	idRaw, idGood = 0x5a5a, 0x1d0e
	classIN       = 1
)

// message is the query in the format of RFC 1035, section 4.1.
func (a Ask) message() ([]byte, error) {
	more := uint16(0)
	if a.EDNS {
		more = 1
	}
	var b []byte
	for _, v := range []uint16{idGood, 0x0100, 1, 0, 0, more} { // recursion desired
		b = binary.BigEndian.AppendUint16(b, v)
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(a.Name, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return nil, fmt.Errorf("%q is no name", a.Name)
		}
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, a.Type)
	b = binary.BigEndian.AppendUint16(b, classIN)
	if a.EDNS {
		b = append(b, 0, 0, typeOPT, 0x04, 0xd0, 0, 0, 0, 0, 0, 0) // 1232 bytes, version 0
	}
	return b, nil
}

// question is the section of a message with one question, without OPT.
func (a Ask) question(m []byte) []byte {
	if a.EDNS {
		m = m[:len(m)-11]
	}
	return m[12:]
}

// tryQuery asks the resolver at the address, or the one the system is told to ask where there is none.
func tryQuery(a Action, timeout time.Duration) Result {
	if a.Ask == nil {
		return Result{Detail: "no question"}
	}
	if a.Address == "" {
		at, err := systemResolver()
		if err != nil {
			return failed(err)
		}
		a.Address = at
	}
	m, err := a.Ask.message()
	if err != nil {
		return failed(err)
	}
	deadline := time.Now().Add(timeout)
	reply, err := exchange(a, m, deadline)
	if err != nil {
		return Result{End: end(err), Detail: err.Error()}
	}
	return Result{Done: true, End: Carried, Reply: reply, Detail: fmt.Sprintf("code %d, %d answers %v", reply.RCode, reply.Answers, reply.Addrs)}
}

func exchange(a Action, m []byte, deadline time.Time) (*Reply, error) {
	stream := strings.HasPrefix(a.Network, "tcp")
	if stream && len(a.Ask.Raw) > 0 {
		// What becomes of this connection is the server's affair.
		if c, err := net.DialTimeout(a.Network, a.Address, time.Until(deadline)); err == nil {
			c.SetDeadline(deadline)
			c.Write(framed(a.Ask.Raw, true))
			c.Close()
		}
	}
	c, err := net.DialTimeout(a.Network, a.Address, time.Until(deadline))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(deadline)
	if !stream && len(a.Ask.Raw) > 0 {
		if _, err := c.Write(a.Ask.Raw); err != nil {
			return nil, err
		}
	}
	if _, err := c.Write(framed(m, stream)); err != nil {
		return nil, err
	}
	var strays []int
	for {
		b, err := readMessage(c, stream)
		if err != nil {
			return nil, err
		}
		if len(b) < 12 || binary.BigEndian.Uint16(b) != idGood {
			strays = append(strays, code(b))
			continue
		}
		r, err := parseReply(b, a.Ask.question(m))
		if r != nil {
			r.Strays = strays
		}
		return r, err
	}
}

// code is the RCODE of a message, -1 where it has none.
func code(b []byte) int {
	if len(b) < 12 {
		return -1
	}
	return int(b[3] & 15)
}

// framed puts the length in front of a message that goes over TCP (RFC 1035, section 4.2.2).
func framed(m []byte, stream bool) []byte {
	if !stream {
		return m
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

func readMessage(c net.Conn, stream bool) ([]byte, error) {
	b := make([]byte, 64<<10)
	if !stream {
		n, err := c.Read(b)
		return b[:n], err
	}
	if _, err := io.ReadFull(c, b[:2]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(b)
	_, err := io.ReadFull(c, b[:n])
	return b[:n], err
}

var errReply = errors.New("a message that cannot be read")

func parseReply(b, question []byte) (*Reply, error) {
	r := &Reply{RCode: code(b), Response: b[2]&0x80 != 0, Available: b[3]&0x80 != 0, Truncated: b[2]&2 != 0}
	count := func(i int) int { return int(binary.BigEndian.Uint16(b[i:])) }
	r.Question = count(4) == 1 && bytes.HasPrefix(b[12:], question)
	at := 12
	for range count(4) {
		if at = skipName(b, at) + 4; at > len(b) {
			return nil, errReply
		}
	}
	r.Answers = count(6)
	for i := range count(6) + count(8) + count(10) {
		at = skipName(b, at)
		if at+10 > len(b) {
			return nil, errReply
		}
		kind, class := binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
		n := int(binary.BigEndian.Uint16(b[at+8:]))
		if at += 10; at+n > len(b) {
			return nil, errReply
		}
		r.record(kind, class, b[at:at+n], i < r.Answers)
		at += n
	}
	return r, nil
}

// record enters one record of a reply.
func (r *Reply) record(kind, class uint16, data []byte, answer bool) {
	switch {
	case kind == typeOPT:
		r.OPT++
		for len(data) >= 4 {
			option, n := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
			if 4+n > len(data) {
				return
			}
			if option == 15 && n >= 2 { // RFC 8914
				r.Extended = append(r.Extended, int(binary.BigEndian.Uint16(data[4:])))
			}
			data = data[4+n:]
		}
	case answer && class == classIN && (kind == TypeA || kind == TypeAAAA):
		if a, ok := netip.AddrFromSlice(data); ok {
			r.Addrs = append(r.Addrs, a.String())
		}
	}
}

// skipName returns the place behind the name at a place; beyond the end for one that is broken.
func skipName(b []byte, at int) int {
	for at < len(b) {
		n := int(b[at])
		switch {
		case n == 0:
			return at + 1
		case n >= 0xc0:
			return at + 2
		}
		at += 1 + n
	}
	return len(b) + 1
}

// systemResolver is the first name server of /etc/resolv.conf, which is the host's file.
func systemResolver() (string, error) {
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" {
			return net.JoinHostPort(f[1], "53"), nil
		}
	}
	return "", errors.New("/etc/resolv.conf names no server")
}
