// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// established is the whole reply to an admitted CONNECT. It has neither
// Content-Length nor Transfer-Encoding (RFC 9110 section 9.3.6): what follows is
// the tunnel.
const established = "HTTP/1.1 200 Connection established\r\n\r\n"

const (
	// writeTimeout bounds the writing of a reply, which fits any socket buffer.
	writeTimeout = 5 * time.Second
	// lingerTime and lingerBytes bound what is read and thrown away after a
	// refusal. Closing with unread bytes would reset the connection, and a reset
	// can overtake the reply.
	lingerTime  = 2 * time.Second
	lingerBytes = 256 << 10
)

// refusal is the reply to a request that gets no tunnel.
type refusal struct {
	status  int
	reason  Reason
	problem string // one sentence for people; nothing of the client's in it
	error   string // RFC 9209 proxy error type
	rule    string // for the record only

	received int // status of the upstream's reply, 0 without one
}

// explain says for people what each reason of the policy means.
var explain = map[Reason]string{
	HostNotAllowed:    "no allow pattern names this host",
	PortNotAllowed:    "the host is allowed, but not this port",
	DeniedByRule:      "a deny pattern names it",
	AddressNotAllowed: "it leads to an address that no pattern admits",
	PolicyClosed:      "the policy has changed",
}

// policyRefusal turns a decision into a reply.
func policyRefusal(d Decision) *refusal {
	r := &refusal{status: http.StatusForbidden, reason: d.Reason, rule: d.Rule, problem: explain[d.Reason], error: "http_request_denied"}
	if d.Reason == AddressNotAllowed {
		r.error = "destination_ip_prohibited"
	}
	return r
}

// headRefusal turns what is wrong with a head or its target into a reply.
func headRefusal(err error) *refusal {
	r := &refusal{status: http.StatusBadRequest, reason: MalformedRequest, error: "http_request_error", problem: "the request is malformed"}
	var head headError
	var target *TargetError
	switch {
	case errors.As(err, &target):
		r.problem = target.Problem
		if target.Reason == AddressNotAllowed {
			r.status, r.reason, r.error = http.StatusForbidden, AddressNotAllowed, "destination_ip_prohibited"
		}
	case errors.Is(err, errHeadTooLarge):
		r.status = http.StatusRequestHeaderFieldsTooLarge
		r.problem = "request head: " + string(errHeadTooLarge)
	case errors.Is(err, errHeadTooSlow):
		r.status = http.StatusRequestTimeout
		r.problem = "request head: " + string(errHeadTooSlow)
	case errors.As(err, &head):
		r.problem = "request head: " + string(head)
	}
	return r
}

// dnsRefusal is the reply when an allowed name has no address.
func dnsRefusal(err error) *refusal {
	r := &refusal{status: http.StatusBadGateway, reason: DNSError, error: "dns_error", problem: "the name could not be resolved"}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		r.error, r.problem = "dns_timeout", "the name servers did not answer in time"
	}
	return r
}

// dialRefusal is the reply when no checked address took the connection.
func dialRefusal(err error) *refusal {
	var timeout net.Error
	switch {
	case errors.Is(err, errDialPolicy):
		return policyRefusal(Decision{Reason: AddressNotAllowed})
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return limitRefusal // it is the proxy that has no descriptor left
	case errors.As(err, &timeout) && timeout.Timeout():
		return &refusal{status: http.StatusGatewayTimeout, reason: DialTimeout, error: "connection_timeout", problem: "the origin did not answer in time"}
	}
	r := &refusal{status: http.StatusBadGateway, reason: DialError, error: "destination_unavailable", problem: "the origin could not be reached"}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		r.error, r.problem = "connection_refused", "the origin refused the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		r.error, r.problem = "destination_ip_unroutable", "there is no route to the origin"
	}
	return r
}

var (
	methodRefusal = &refusal{
		status: http.StatusMethodNotAllowed, reason: MethodNotAllowed, error: "http_request_error",
		problem: "this proxy tunnels: use CONNECT host:port",
	}
	limitRefusal = &refusal{
		status: http.StatusServiceUnavailable, reason: LimitExceeded, error: "connection_limit_reached",
		problem: "the proxy serves as many connections as it may; try again later",
	}
)

// wire gives the reply as it is sent. method decides whether it has a body: after
// HEAD there is none, and Content-Length says how long it would be (RFC 9110
// section 9.3.2). target is the parsed one, "" when there is none: unparsed bytes
// are never reflected.
func (r *refusal) wire(method, target string) []byte {
	if target == "" {
		target = "the request"
	}
	body := "sallyport: " + target + " is refused: " + string(r.reason) + ": " + r.problem + "\n"
	b := []byte("HTTP/1.1 ")
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(r.status)...)
	if r.status == http.StatusMethodNotAllowed {
		b = append(b, "\r\nAllow: CONNECT"...)
	}
	b = append(b, "\r\nProxy-Status: sallyport; error="...)
	b = append(b, r.error...)
	if r.received != 0 { // RFC 9209 section 2.1.4
		b = append(b, "; received-status="...)
		b = strconv.AppendInt(b, int64(r.received), 10)
	}
	b = append(b, "; details=\""...)
	b = append(b, r.reason...)
	b = append(b, "\"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\nConnection: close\r\n\r\n"...)
	if method == http.MethodHead {
		return b
	}
	return append(b, body...)
}

// writeReply writes a reply within writeTimeout.
func writeReply(c net.Conn, b []byte) error {
	c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.Write(b)
	c.SetWriteDeadline(time.Time{})
	return err
}

// linger ends c's outgoing stream and reads what still comes, within limits, so
// that closing c afterwards does not reset it before the reply is read.
func linger(c net.Conn) {
	w, ok := c.(interface{ CloseWrite() error })
	if !ok || w.CloseWrite() != nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(lingerTime))
	buf := headBuffers.Get().(*headBuffer)
	defer headBuffers.Put(buf)
	for n := 0; n < lingerBytes; {
		m, err := c.Read(buf[:])
		n += m
		if err != nil {
			return
		}
	}
}
