// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// testServer is a name server for f that notes what it refuses.
func testServer(f *Filter) (n *nameServer, refused *[]string) {
	refused = new([]string)
	return &nameServer{
		pool:   new(namePool),
		decide: f.DecideName,
		refuse: func(host string, d Decision) { *refused = append(*refused, host+" "+string(d.Reason)) },
	}, refused
}

// ask packs a query; change may spoil it.
func ask(t testing.TB, name string, typ dnsmessage.Type, change func(*dnsmessage.Message)) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 0xabcd, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
	}
	if change != nil {
		change(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withEDNS adds an OPT record.
func withEDNS(payload int, version uint32, name string) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		m.Additionals = append(m.Additionals, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeOPT,
				Class: dnsmessage.Class(payload), TTL: version<<16 | 0x8000},
			Body: &dnsmessage.OPTResource{},
		})
	}
}

// summary says what matters of a reply: its code, and its records.
func summary(t testing.TB, b []byte) string {
	t.Helper()
	if b == nil {
		return "none"
	}
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil {
		t.Fatalf("the reply %x: %v", b, err)
	}
	if !m.Response || m.ID != 0xabcd || m.Authoritative || m.AuthenticData {
		t.Errorf("header = %+v", m.Header)
	}
	s := []string{strings.TrimPrefix(m.RCode.String(), "RCode")}
	for _, r := range slices.Concat(m.Answers, m.Authorities, m.Additionals) {
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			s = append(s, "A", netip.AddrFrom4(body.A).String())
		case *dnsmessage.AAAAResource:
			s = append(s, "AAAA", netip.AddrFrom16(body.AAAA).String())
		case *dnsmessage.PTRResource:
			s = append(s, "PTR", body.PTR.String())
		case *dnsmessage.SOAResource:
			s = append(s, "SOA")
		case *dnsmessage.OPTResource:
			s = append(s, fmt.Sprintf("OPT(%d)", r.Header.TTL>>24))
			for _, o := range body.Options {
				s = append(s, fmt.Sprintf("EDE%d:%s", o.Data[1], o.Data[2:]))
			}
		}
	}
	return strings.Join(s, " ")
}

func TestNameReply(t *testing.T) {
	t.Parallel()
	const a, aaaa = dnsmessage.TypeA, dnsmessage.TypeAAAA
	two := func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }
	edns := withEDNS(1232, 0, ".")
	for _, test := range []struct {
		name    string
		typ     dnsmessage.Type
		change  func(*dnsmessage.Message)
		want    string
		refused string
	}{
		{"github.com.", a, nil, "Success A 198.18.0.1", ""},
		{"github.com.", aaaa, nil, "Success AAAA fd73:616c:6c79::1", ""},
		{"GitHub.COM.", a, nil, "Success A 198.18.0.1", ""},
		{"github.com.", a, edns, "Success A 198.18.0.1 OPT(0)", ""},
		{"github.com.", dnsmessage.TypeHTTPS, nil, "Success SOA", ""},
		{"github.com.", dnsmessage.TypeSVCB, nil, "Success SOA", ""},
		{"github.com.", dnsmessage.TypeMX, edns, "Success SOA OPT(0)", ""},
		{"github.com.", dnsmessage.TypeALL, nil, "Success SOA", ""},
		{"ssh.test.", a, nil, "Success A 198.18.0.2", ""},
		{"evil.com.", a, nil, "NameError SOA", "evil.com host_not_allowed"},
		{"evil.com.", aaaa, edns, "NameError SOA OPT(0) EDE15:host_not_allowed", "evil.com host_not_allowed"},
		{"denied.test.", dnsmessage.TypeTXT, edns, "NameError SOA OPT(0) EDE15:denied_by_rule", "denied.test denied_by_rule"},
		{"localhost.", a, nil, "Success A 127.0.0.1", ""},
		{"x.LocalHost.", aaaa, nil, "Success AAAA ::1", ""},
		{"localhost.", dnsmessage.TypeMX, nil, "Success SOA", ""},
		{".", dnsmessage.TypeNS, nil, "Success SOA", ""},
		{"1.2.3.4.", a, nil, "NameError SOA", " address_not_allowed"},
		{"127.1.", a, edns, "NameError SOA OPT(0) EDE15:address_not_allowed", " address_not_allowed"},
		{"b\u00fccher.test.", a, nil, "NameError SOA", " malformed_request"},
		{"a b.github.com.", a, nil, "NameError SOA", " malformed_request"},
		{"1.0.18.198.in-addr.arpa.", dnsmessage.TypePTR, nil, "Success PTR github.com.", ""},
		{"1.0.18.198.in-addr.arpa.", a, nil, "Success SOA", ""},
		{"9.0.18.198.in-addr.arpa.", dnsmessage.TypePTR, nil, "NameError SOA", ""},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.7.c.6.c.6.1.6.3.7.d.f.ip6.arpa.", dnsmessage.TypePTR, nil, "Success PTR github.com.", ""},
		{"1.0.0.127.in-addr.arpa.", dnsmessage.TypePTR, nil, "Success PTR localhost.", ""},
		{"3.112.82.140.in-addr.arpa.", dnsmessage.TypePTR, nil, "NameError SOA", "3.112.82.140.in-addr.arpa host_not_allowed"},
		{"01.0.18.198.in-addr.arpa.", dnsmessage.TypePTR, nil, "NameError SOA", "01.0.18.198.in-addr.arpa host_not_allowed"},

		{"github.com.", a, two, "FormatError", ""},
		{"github.com.", a, func(m *dnsmessage.Message) { m.Questions = nil }, "FormatError", ""},
		{"github.com.", a, func(m *dnsmessage.Message) { edns(m); edns(m) }, "FormatError OPT(0)", ""},
		{"github.com.", a, withEDNS(1232, 0, "x."), "FormatError", ""},
		{"github.com.", a, withEDNS(1232, 1, "."), "Success OPT(1)", ""},
		{"github.com.", a, func(m *dnsmessage.Message) { m.Response = true }, "none", ""},
		{"github.com.", a, func(m *dnsmessage.Message) { m.OpCode = 5 }, "NotImplemented", ""},
		{"version.bind.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }, "Refused", ""},
	} {
		n, refused := testServer(mustFilter(t, []string{"github.com", "ssh.test:22", "denied.test"}, []string{"denied.test"}))
		n.pool.addresses("github.com")
		msg := ask(t, test.name, test.typ, test.change)
		if got := summary(t, n.reply(nil, msg, true)); got != test.want {
			t.Errorf("%s %v: %s, want %s", test.name, test.typ, got, test.want)
		}
		if got := strings.Join(*refused, ", "); got != test.refused {
			t.Errorf("%s %v: refused %q, want %q", test.name, test.typ, got, test.refused)
		}
	}
}

// A reply repeats the question as it was asked: its letter case is how some
// clients tell a reply from a forgery.
func TestNameReplyRepeatsTheQuestion(t *testing.T) {
	t.Parallel()
	n, _ := testServer(allowing(t, "github.com"))
	for _, name := range []string{"GiThUb.CoM.", "EviL.coM."} {
		var m dnsmessage.Message
		if err := m.Unpack(n.reply(nil, ask(t, name, dnsmessage.TypeA, nil), true)); err != nil {
			t.Fatal(err)
		}
		if got := m.Questions[0].Name.String(); got != name || !m.RecursionDesired || !m.RecursionAvailable {
			t.Errorf("the reply to %s is about %s, header %+v", name, got, m.Header)
		}
		if len(m.Answers) == 1 && m.Answers[0].Header.Name.String() != name {
			t.Errorf("the answer to %s is about %s", name, m.Answers[0].Header.Name)
		}
	}
}

// Without IPv6 in the sandbox a name has no IPv6 address, but it exists.
func TestNameReplyWithoutIPv6(t *testing.T) {
	t.Parallel()
	n, _ := testServer(allowing(t, "github.com"))
	n.only4 = true
	if got := summary(t, n.reply(nil, ask(t, "github.com.", dnsmessage.TypeAAAA, nil), true)); got != "Success SOA" {
		t.Errorf("AAAA: %s", got)
	}
	if got := summary(t, n.reply(nil, ask(t, "github.com.", dnsmessage.TypeA, nil), true)); got != "Success A 198.18.0.1" {
		t.Errorf("A: %s", got)
	}
}

func TestNameReplyWhenNoAddressIsLeft(t *testing.T) {
	t.Parallel()
	n, refused := testServer(allowing(t, "*"))
	n.pool.names = make([]string, maxNames)
	msg := ask(t, "github.com.", dnsmessage.TypeA, withEDNS(512, 0, "."))
	if got := summary(t, n.reply(nil, msg, true)); got != "ServerFailure OPT(0) EDE0:limit_exceeded" {
		t.Errorf("the reply is %s", got)
	}
	if !slices.Equal(*refused, []string{"github.com limit_exceeded"}) {
		t.Errorf("refused %q", *refused)
	}
}

// The longest name in every kind of reply fits the smallest datagram, and what
// would not is cut off with a flag.
func TestNameReplyFitsADatagram(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(strings.Repeat("x", 63)+".", 3) + strings.Repeat("y", 61) + "."
	n, _ := testServer(allowing(t, "*", "**."+long[64:len(long)-1]))
	v4, _, _ := n.pool.addresses(strings.TrimSuffix(long, "."))
	raw := v4.As4()
	reverse := fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", raw[3], raw[2], raw[1], raw[0])
	for _, name := range []string{long, reverse} {
		for _, typ := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypePTR, dnsmessage.TypeTXT} {
			b := n.reply(nil, ask(t, name, typ, withEDNS(0, 0, ".")), true)
			if b == nil || len(b) > minPayload {
				t.Errorf("the reply to %v is %d bytes long", typ, len(b))
			}
		}
	}
	q, _ := parseQuery(ask(t, long, dnsmessage.TypeA, withEDNS(65535, 0, ".")))
	if got := q.limit(); got != maxPayload {
		t.Errorf("the limit for a client that takes everything = %d, want %d", got, maxPayload)
	}
	b, err := q.pack(nil, answer{addr: public}, true)
	var m dnsmessage.Message
	if err != nil || m.Unpack(b) != nil || !m.Truncated || len(m.Answers) != 0 || len(m.Questions) != 1 || len(m.Additionals) != 1 {
		t.Errorf("a truncated reply = %+v, %v", m, err)
	}
}

// FuzzNameReply: no message panics; every reply is a valid one to the question
// that was asked, fits, and gives addresses of the pool or loopback only.
func FuzzNameReply(f *testing.F) {
	for _, name := range []string{"github.com.", "evil.com.", "localhost.", "1.0.18.198.in-addr.arpa.", "."} {
		f.Add(ask(f, name, dnsmessage.TypeA, nil), true)
		f.Add(ask(f, name, dnsmessage.TypePTR, withEDNS(4096, 0, ".")), false)
	}
	f.Add([]byte("\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"), true) // a loop
	f.Add([]byte("\xab\xcd\x01\x00\x00\x01\xff\xff\xff\xff\xff\xff\x00\x00\x01\x00\x01"), true)
	policy := mustFilter(f, []string{"github.com", "**.test:*"}, []string{"x.test"})
	f.Fuzz(func(t *testing.T, msg []byte, datagram bool) {
		n, _ := testServer(policy)
		prefix := []byte("12")
		b := n.reply(prefix, msg, datagram)
		if b == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(b[2:]); err != nil || string(b[:2]) != "12" {
			t.Fatalf("the reply %x to %x: %v", b, msg, err)
		}
		if !m.Response || len(m.Questions) > 1 || datagram && len(b)-2 > maxPayload {
			t.Fatalf("the reply to %x = %+v", msg, m)
		}
		for _, r := range m.Answers {
			switch body := r.Body.(type) {
			case *dnsmessage.AResource:
				if a := netip.AddrFrom4(body.A); !pool4.Contains(a) && !a.IsLoopback() {
					t.Fatalf("%x is told %v", msg, a)
				}
			case *dnsmessage.AAAAResource:
				if a := netip.AddrFrom16(body.AAAA); !pool6.Contains(a) && !a.IsLoopback() {
					t.Fatalf("%x is told %v", msg, a)
				}
			}
		}
		if again := n.reply(nil, b[2:], datagram); again != nil {
			t.Fatalf("a reply is answered: %x", again)
		}
	})
}
