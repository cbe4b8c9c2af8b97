// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"time"
)

const (
	// maxQuery bounds a query. Only a reply ever needs more.
	maxQuery = 4096
	// maxStreams bounds the connections that carry queries, of one sandbox.
	maxStreams = 128
	// streamIdle is how long such a connection may take for the next query, from
	// its first byte to the last (RFC 7766 section 6.2.3).
	streamIdle = 10 * time.Second
)

// nameServer gives the name server behind sv, for the clients that client tells.
func (s *Server) nameServer(sv *serving, client func() string) *nameServer {
	return &nameServer{
		pool:  sv.names,
		only4: sv.only4,
		decide: func(host string) Decision {
			s.mu.Lock()
			f := s.filterFor(sv.source)
			s.mu.Unlock()
			return f.DecideName(host)
		},
		refuse: func(host string, d Decision) { s.refuseName(sv, client(), host, d) },
	}
}

// refuseName hands in the record of a query that is refused: what would have been
// the request of this name is not going to come.
func (s *Server) refuseName(sv *serving, client, host string, d Decision) {
	sv.refusals.wait(sv.stop)
	if s.cfg.Record == nil {
		return
	}
	err := s.callRecord(Record{
		Time: time.Now(), Sandbox: sv.o.Name, Client: client, Method: MethodDNS, Host: host,
		Decision: DecisionDeny, Reason: d.Reason, Rule: d.Rule,
	})
	if err != nil {
		s.fail(recordError(err))
	}
}

// serveDatagrams answers the queries of a UDP socket, one after the other: an
// answer takes no longer than a look into a table.
func (s *Server) serveDatagrams(sv *serving) {
	defer s.retire(sv)
	var from netip.AddrPort
	n := s.nameServer(sv, func() string {
		return netip.AddrPortFrom(plain(from.Addr()), from.Port()).String()
	})
	msg, control, out := make([]byte, maxQuery+1), make([]byte, maxControl), make([]byte, 0, minPayload)
	pause := time.Duration(0)
	for {
		size, controlSize, _, client, err := sv.u.ReadMsgUDPAddrPort(msg, control)
		switch {
		case isClosed(sv.stop) || errors.Is(err, net.ErrClosed):
			return
		case err != nil || !client.IsValid(): // invalid: somebody else has shut it down
			pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
			s.log.Warn("cannot read queries, trying again", "socket", sv.String(), "pause", pause, "err", err)
			sleep(pause, sv.stop)
			continue
		}
		pause, from = 0, client
		if size <= maxQuery {
			s.answerDatagram(sv, n, msg[:size], out, replyFrom(control[:controlSize]), client)
		}
	}
}

// answerDatagram answers one query. A panic loses no more than that one.
func (s *Server) answerDatagram(sv *serving, n *nameServer, msg, out, control []byte, client netip.AddrPort) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("the name server panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	reply := n.reply(out, msg, true)
	if reply == nil {
		return
	}
	if _, _, err := sv.u.WriteMsgUDPAddrPort(reply, control, client); err != nil {
		s.log.Debug("a reply to a query was not sent", "client", client, "err", err)
	}
}

// serveQueries is the goroutine of a connection that carries queries, each behind
// its length (RFC 7766). They are answered in their order, however many are sent
// ahead.
func (c *conn) serveQueries() {
	defer func() { c.leave(recover()) }()
	n := c.s.nameServer(c.sv, func() string { return c.rec.Client })
	buf := make([]byte, 2+maxQuery)
	for {
		c.client.SetReadDeadline(time.Now().Add(streamIdle))
		msg, err := readQuery(c.client, buf)
		if err != nil {
			return
		}
		reply := n.reply(make([]byte, 2, minPayload), msg, false)
		if reply == nil {
			return // what is not a query is no reason to wait for the next
		}
		binary.BigEndian.PutUint16(reply, uint16(len(reply)-2))
		if writeReply(c.client, reply) != nil {
			return
		}
	}
}

var errLongQuery = errors.New("proxycore: a query longer than any")

// readQuery reads one query into buf.
func readQuery(r io.Reader, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[:2]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(buf))
	if size > len(buf)-2 {
		return nil, errLongQuery
	}
	msg := buf[2 : 2+size]
	_, err := io.ReadFull(r, msg)
	return msg, err
}
