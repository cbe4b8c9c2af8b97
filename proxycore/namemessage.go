// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/binary"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS parameters that the library has no names for.
const (
	classAny     = 255 // RFC 1035 section 3.2.5
	rcodeBadVers = 16  // RFC 6891 section 9
	optEDE       = 15  // RFC 8914 section 2
	edeOther     = 0   // RFC 8914 section 4.1
	edeBlocked   = 15  // RFC 8914 section 4.16
)

const (
	// minPayload and maxPayload bound a reply over UDP: what every client takes
	// (RFC 1035 section 2.3.4), and what passes every link in one piece, which is
	// also what is announced (RFC 9715 section 3.1).
	minPayload = 512
	maxPayload = 1232
	// nameTTL and refusalTTL are, in seconds, how long a client may keep an address,
	// which is good for the life of the sandbox, and the news that there is none,
	// which the next policy may change.
	nameTTL    = 60
	refusalTTL = 5
)

var (
	rootName = dnsmessage.MustNewName(".")
	// noServer and nobody stand in the SOA record, which tells clients how long to
	// remember a refusal (RFC 2308 section 5). They exist nowhere (RFC 6761 section 6.4).
	noServer = dnsmessage.MustNewName("sallyport.invalid.")
	nobody   = dnsmessage.MustNewName("nobody.invalid.")
)

// query is a parsed query.
type query struct {
	header   dnsmessage.Header
	question dnsmessage.Question
	asked    bool             // question is set
	rcode    dnsmessage.RCode // not success: it cannot be answered

	edns     bool // it has an OPT record (RFC 6891), and the rest is from there
	payload  int
	dnssecOK bool
}

// parseQuery takes a message apart. False: it deserves no reply, being a reply
// itself or too short to be anything.
func parseQuery(msg []byte) (q query, ok bool) {
	var p dnsmessage.Parser
	var err error
	if q.header, err = p.Start(msg); err != nil || q.header.Response {
		return q, false
	}
	if q.header.OpCode != 0 {
		q.rcode = dnsmessage.RCodeNotImplemented
		return q, true
	}
	if q.question, err = p.Question(); err == nil {
		q.asked = true
		// More than one question has no meaning (RFC 9619).
		if _, err = p.Question(); err == dnsmessage.ErrSectionDone {
			err = q.parseOPT(&p)
		} else if err == nil {
			q.rcode = dnsmessage.RCodeFormatError
		}
	}
	switch {
	case err != nil:
		q.rcode = dnsmessage.RCodeFormatError
	case q.rcode == dnsmessage.RCodeSuccess && q.question.Class != dnsmessage.ClassINET && q.question.Class != classAny:
		q.rcode = dnsmessage.RCodeRefused
	}
	return q, true
}

// parseOPT looks through the rest of a query for its OPT record.
func (q *query) parseOPT(p *dnsmessage.Parser) error {
	if err := p.SkipAllAnswers(); err != nil {
		return err
	}
	if err := p.SkipAllAuthorities(); err != nil {
		return err
	}
	for {
		h, err := p.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			return nil
		}
		if err == nil {
			err = p.SkipAdditional()
		}
		if err != nil {
			return err
		}
		if h.Type != dnsmessage.TypeOPT {
			continue
		}
		if q.edns || h.Name.Length != 1 { // RFC 6891 section 6.1.1
			q.rcode = dnsmessage.RCodeFormatError
			return nil
		}
		q.edns, q.payload = true, int(h.Class)
		q.dnssecOK = h.TTL>>15&1 != 0
		if h.TTL>>16&0xff != 0 {
			q.rcode = rcodeBadVers
		}
	}
}

// limit is how long a reply by UDP may be.
func (q *query) limit() int { return min(max(q.payload, minPayload), maxPayload) }

// pack appends the reply to b. A truncated one (RFC 1035 section 4.1.1, TC) has
// no records, so that the client asks again over TCP.
func (q *query) pack(b []byte, a answer, truncated bool) ([]byte, error) {
	m := dnsmessage.NewBuilder(b, dnsmessage.Header{
		ID:                 q.header.ID,
		Response:           true,
		OpCode:             q.header.OpCode,
		Truncated:          truncated,
		RecursionDesired:   q.header.RecursionDesired,
		RecursionAvailable: true,
		CheckingDisabled:   q.header.CheckingDisabled,
		RCode:              a.rcode & 0xf,
	})
	m.EnableCompression()
	if q.asked {
		if err := m.StartQuestions(); err != nil {
			return nil, err
		}
		if err := m.Question(q.question); err != nil {
			return nil, err
		}
		if !truncated {
			if err := q.packRecord(&m, a); err != nil {
				return nil, err
			}
		}
	}
	if q.edns {
		if err := q.packOPT(&m, a); err != nil {
			return nil, err
		}
	}
	return m.Finish()
}

// packRecord writes the one record of an answer, or the one that stands for none.
func (q *query) packRecord(m *dnsmessage.Builder, a answer) error {
	h := dnsmessage.ResourceHeader{Name: q.question.Name, Class: dnsmessage.ClassINET, TTL: nameTTL}
	if a.ptr != "" || a.addr.IsValid() {
		if err := m.StartAnswers(); err != nil {
			return err
		}
	}
	switch {
	case a.ptr != "":
		name, err := dnsmessage.NewName(a.ptr + ".")
		if err != nil {
			return err
		}
		return m.PTRResource(h, dnsmessage.PTRResource{PTR: name})
	case a.addr.Is4():
		return m.AResource(h, dnsmessage.AResource{A: a.addr.As4()})
	case a.addr.Is6():
		return m.AAAAResource(h, dnsmessage.AAAAResource{AAAA: a.addr.As16()})
	case a.rcode != dnsmessage.RCodeSuccess && a.rcode != dnsmessage.RCodeNameError:
		return nil
	}
	if err := m.StartAuthorities(); err != nil {
		return err
	}
	h.Name, h.TTL = rootName, refusalTTL
	return m.SOAResource(h, dnsmessage.SOAResource{
		NS: noServer, MBox: nobody, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: refusalTTL,
	})
}

// packOPT writes the OPT record, with the reason of a refusal (RFC 8914).
func (q *query) packOPT(m *dnsmessage.Builder, a answer) error {
	if err := m.StartAdditionals(); err != nil {
		return err
	}
	var h dnsmessage.ResourceHeader
	if err := h.SetEDNS0(maxPayload, a.rcode, q.dnssecOK); err != nil {
		return err
	}
	var r dnsmessage.OPTResource
	if a.why != "" {
		code := uint16(edeBlocked)
		if a.rcode == dnsmessage.RCodeServerFailure {
			code = edeOther
		}
		data := append(binary.BigEndian.AppendUint16(nil, code), a.why...)
		r.Options = []dnsmessage.Option{{Code: optEDE, Data: data}}
	}
	return m.OPTResource(h, r)
}
