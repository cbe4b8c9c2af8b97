// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// pipeListener gives out connections that need no network, so that time can be
// the test's.
type pipeListener struct {
	conns chan net.Conn
	gone  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), gone: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	if !isClosed(l.gone) {
		close(l.gone)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "@", Net: "unix"} }

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

// streams starts a proxy that is asked for names through pipes.
func streams(t *testing.T, record func(Record) error, allow ...string) (*Handle, *pipeListener) {
	t.Helper()
	h, err := BuiltIn{Port: -1, Config: Config{Filter: allowing(t, allow...), Record: record}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := newPipeListener()
	if _, err := h.Capture(Capture{QueryStreams: []net.Listener{l}}, Listening{}); err != nil {
		t.Fatal(err)
	}
	return h, l
}

// Queries are answered in order and one by one, whatever pieces they come in.
func TestQueryStreamPipelining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, l := streams(t, nil, "**.test")
		defer h.Close()
		c := l.dial()
		defer c.Close()
		var sent strings.Builder
		names := []string{"a.x.test.", "evil.com.", "b.x.test.", "A.x.test."}
		for i, name := range names {
			sent.WriteString(framed(ask(t, name, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.ID = uint16(i) })))
		}
		go func() {
			for b := range strings.SplitSeq(sent.String(), "") { // one byte at a time
				io.WriteString(c, b)
			}
		}()
		for i, name := range names {
			var m dnsmessage.Message
			if err := m.Unpack(readFramed(t, c)); err != nil {
				t.Fatal(err)
			}
			if m.ID != uint16(i) || m.Questions[0].Name.String() != name || (len(m.Answers) == 1) == (name == "evil.com.") {
				t.Errorf("reply %d = %+v, want one about %s", i, m, name)
			}
		}
	})
}

// Who is too slow for one query, or says nothing, is left; who goes on stays.
func TestQueryStreamIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, l := streams(t, nil, "github.com")
		defer h.Close()
		silent, slow, busy := l.dial(), l.dial(), l.dial()
		query := framed(ask(t, "github.com.", dnsmessage.TypeA, nil))
		io.WriteString(slow, query[:len(query)-1])
		for range 5 {
			<-time.After(streamIdle - time.Second)
			io.WriteString(busy, query)
			readFramed(t, busy)
		}
		for name, c := range map[string]net.Conn{"silent": silent, "slow": slow} {
			c.SetDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the %s connection: %v, want its end", name, err)
			}
		}
		began := time.Now()
		if _, err := busy.Read(make([]byte, 1)); err != io.EOF || time.Since(began) != streamIdle {
			t.Errorf("the busy connection ended after %v with %v, want after %v", time.Since(began), err, streamIdle)
		}
	})
}

func TestQueryStreamThatIsNone(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"too short":  framed([]byte("GET / HTTP/")),
		"empty":      "\x00\x00",
		"too long":   "\xff\xff",
		"a reply":    framed(ask(t, "github.com.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Response = true })),
		"HTTP":       "GET / HTTP/1.1\r\n\r\n",
		"cut length": "\x00",
	} {
		synctest.Test(t, func(t *testing.T) {
			h, l := streams(t, nil, "github.com")
			defer h.Close()
			c := l.dial()
			go io.WriteString(c, sent)
			if b, err := io.ReadAll(c); err != nil || len(b) != 0 {
				t.Errorf("%s: read %x, %v; want the end of the stream", name, b, err)
			}
		})
	}
}

// Queries have few connections of a sandbox's, so that connections keep theirs.
func TestQueryStreamsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		records := make(chan Record, 10)
		h, l := streams(t, func(r Record) error { records <- r; return nil }, "github.com")
		defer h.Close()
		for range maxStreams {
			defer l.dial().Close()
		}
		if _, err := l.dial().Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one connection too many: %v, want its end", err)
		}
		if r := <-records; r.Method != MethodDNS || r.Reason != LimitExceeded {
			t.Errorf("record = %+v", r)
		}
	})
}

// A flood of refused queries is slowed down to what the records can bear; a burst
// is not.
func TestRefusedQueriesArePaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, l := streams(t, nil, "github.com")
		defer h.Close()
		c := l.dial()
		refused, admitted := framed(ask(t, "evil.com.", dnsmessage.TypeA, nil)), framed(ask(t, "github.com.", dnsmessage.TypeA, nil))
		ask := func(query string, n int) time.Duration {
			began := time.Now()
			for range n {
				io.WriteString(c, query)
				readFramed(t, c)
			}
			return time.Since(began)
		}
		for i, step := range []struct {
			query string
			n     int
			want  time.Duration
		}{{refused, refusalBurst, 0}, {refused, 500, 500 * refusalPace}, {admitted, 2000, 0}, {refused, 1, refusalPace}} {
			if got := ask(step.query, step.n); got != step.want {
				t.Errorf("step %d: %d queries took %v, want %v", i, step.n, got, step.want)
			}
		}
		c.Close()
		<-time.After(time.Minute)
		c = l.dial()
		defer c.Close()
		if got := ask(refused, refusalBurst); got != 0 {
			t.Errorf("a burst after a pause took %v", got)
		}
	})
}

func TestReadQuery(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]bool{0: true, maxQuery: true, maxQuery + 1: false, 65535: false} {
		msg := make([]byte, 2+size)
		binary.BigEndian.PutUint16(msg, uint16(size))
		got, err := readQuery(strings.NewReader(string(msg)), make([]byte, 2+maxQuery))
		if (err == nil) != want || want && len(got) != size {
			t.Errorf("a query of %d bytes: %d bytes, %v", size, len(got), err)
		}
	}
}
