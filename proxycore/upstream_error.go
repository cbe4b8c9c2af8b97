// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// upstreamError says why an upstream gave no tunnel. Nothing in it is the
// upstream's own words, nor the credentials.
type upstreamError struct {
	problem string // for people; safe to send to the client
	kind    string // RFC 9209 proxy error type
	slow    string // the type to use when err is a time-out
	status  int    // of the upstream's reply, 0 without one
	another bool   // another address of the target may do better
	err     error  // for the log; nil if problem says it all
}

// Error implements error.
func (e *upstreamError) Error() string {
	s := "proxycore: " + e.problem
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *upstreamError) Unwrap() error { return e.err }

var (
	errLoop = &upstreamError{problem: "the upstream proxy is this proxy itself", kind: "proxy_loop_detected"}

	// routeRefusal is the reply when Config.Route has no answer.
	routeRefusal = &refusal{
		status: http.StatusBadGateway, reason: DialError, error: "proxy_configuration_error",
		problem: "the proxy does not know which way to go to it",
	}
)

// upstreamRefusal turns what went wrong with an upstream into a reply. It is not
// dialRefusal: a refusal of the upstream's is no refusal of the origin's.
func upstreamRefusal(err error) *refusal {
	r := &refusal{status: http.StatusBadGateway, reason: DialError, error: "destination_unavailable", problem: "the upstream proxy failed"}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return limitRefusal // it is the proxy that has no descriptor left
	}
	var ue *upstreamError
	if !errors.As(err, &ue) {
		return r
	}
	r.error, r.problem, r.received = ue.kind, ue.problem, ue.status
	if ue.slow != "" && isTimeout(err) {
		r.status, r.reason, r.error = http.StatusGatewayTimeout, DialTimeout, ue.slow
		r.problem = "the upstream proxy did not answer in time"
	}
	return r
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// isCut reports whether the peer has ended the connection.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lookupError is about the upstream's own name.
func lookupError(err error) error {
	return &upstreamError{problem: "the name of the upstream proxy could not be resolved", kind: "dns_error", slow: "dns_timeout", err: err}
}

// connectError is about the connection to the upstream.
func connectError(err error) error {
	e := &upstreamError{problem: "the upstream proxy could not be reached", kind: "destination_unavailable", slow: "connection_timeout", err: err}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		e.kind, e.problem = "connection_refused", "the upstream proxy refused the connection"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.kind, e.problem = "destination_ip_unroutable", "there is no route to the upstream proxy"
	}
	return e
}

// cutError is about a connection that ended too early.
func cutError(err error) error {
	return &upstreamError{problem: "the upstream proxy ended the connection", kind: "connection_terminated", slow: "connection_timeout", err: err}
}

// tlsError is about the handshake with an https upstream.
func tlsError(err error) error {
	if isCut(err) {
		return cutError(err)
	}
	e := &upstreamError{problem: "the upstream proxy does not speak TLS as it should", kind: "tls_protocol_error", slow: "connection_timeout", err: err}
	var certificate *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case errors.As(err, &certificate):
		e.kind, e.problem = "tls_certificate_error", "the certificate of the upstream proxy is not valid for it"
	case errors.As(err, &alert) && alert.Op == "remote error":
		e.kind, e.problem = "tls_alert_received", "the upstream proxy refused the TLS handshake"
	}
	return e
}

// malformedReply is about a reply that is no reply.
func malformedReply(err error) error {
	e := &upstreamError{problem: "the upstream proxy did not answer as an HTTP proxy does", kind: "http_protocol_error"}
	var head headError
	if errors.As(err, &head) {
		e.err = errors.New(string(head))
	}
	if errors.Is(err, errHeadTooLarge) {
		e.kind = "http_response_header_section_size"
	}
	return e
}

// replyCutError is about a reply that ends before it is complete.
func replyCutError(err error, begun bool) error {
	e := &upstreamError{problem: "the upstream proxy ended the connection", kind: "connection_terminated", slow: "http_response_timeout", err: err}
	if begun {
		e.kind, e.problem = "http_response_incomplete", "the upstream proxy ended the connection in the middle of its answer"
	}
	return e
}

// statusError is about a reply that opens no tunnel.
func statusError(status int) error {
	e := &upstreamError{problem: "the upstream proxy answered " + strconv.Itoa(status), kind: "destination_unavailable", status: status}
	switch {
	case status == http.StatusProxyAuthRequired:
		e.kind, e.problem = "proxy_configuration_error", "the upstream proxy answered 407: it wants other credentials"
	case status < 400:
		e.kind = "http_protocol_error"
	case status >= 500:
		e.another = true
	}
	return e
}

// socksError is about a SOCKS upstream. asked says that it got as far as the
// request.
func socksError(err error, asked bool) error {
	switch {
	case isTimeout(err), isCut(err), errors.Is(err, context.Canceled):
		return cutError(err)
	case !asked:
		return &upstreamError{problem: "the upstream proxy does not speak SOCKS 5, or wants other credentials", kind: "proxy_configuration_error", err: err}
	}
	return &upstreamError{problem: "the upstream proxy refused the target", kind: "destination_unavailable", another: true, err: err}
}
