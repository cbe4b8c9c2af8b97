// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// denial is where the faults in the manner of a refusal live.
func (p *Proxy) denial(c net.Conn, status int) int {
	f := p.o.Faults
	switch {
	case f.Has(DenialSilent) && status == 403:
		return 0
	case f.Has(DenialTunnels) && status == 403:
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		return 0
	case f.Has(DenialNotFound) && status == 403:
		return 404
	}
	return status
}

func (p *Proxy) established(c net.Conn) {
	f := p.o.Faults
	switch {
	case f.Has(AnswerHTTP10):
		io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
	case f.Has(AnswerWithLength):
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	default:
		io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
}

var statusText = map[int]string{
	400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
	431: "Request Header Fields Too Large", 501: "Not Implemented", 502: "Bad Gateway",
}

// refuse answers with a status; it reports whether the connection goes on.
func (p *Proxy) refuse(c net.Conn, req *request, status int) bool {
	f := p.o.Faults
	what := "the request"
	if req != nil && (status != 400 || f.Has(TargetEchoed)) && !f.Has(BodySilent) {
		what = req.target
	}
	body := fmt.Sprintf("%s was refused: %s\n", what, statusText[status])
	keep := f.Has(TrustsAfterRefusal) && status == 403
	var h strings.Builder
	kind := "text/plain"
	if f.Has(TargetEchoed) {
		kind = "text/html"
	}
	fmt.Fprintf(&h, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", status, statusText[status], kind)
	if f.Has(BodyTruncated) {
		fmt.Fprintf(&h, "Content-Length: %d\r\n", len(body)+100)
	} else {
		fmt.Fprintf(&h, "Content-Length: %d\r\n", len(body))
	}
	if status == 405 && !f.Has(AllowMissing) {
		h.WriteString("Allow: CONNECT\r\n")
	}
	if !f.Has(ReasonMissing) {
		fmt.Fprintf(&h, "Proxy-Status: refproxy; error=%s; details=\"%s\"\r\n", rfc9209[status], reason[status])
	}
	if !keep {
		h.WriteString("Connection: close\r\n")
	}
	h.WriteString("\r\n")
	if req == nil || req.method != "HEAD" {
		h.WriteString(body)
	}
	_, err := io.WriteString(c, h.String())
	return keep && err == nil
}

var rfc9209 = map[int]string{
	400: "http_request_error", 403: "http_request_denied", 404: "http_request_denied", 405: "http_request_denied",
	408: "http_request_error", 431: "http_request_error", 501: "http_request_error", 502: "connection_refused",
}

var reason = map[int]string{
	400: "malformed_request", 403: "host_not_allowed", 404: "host_not_allowed", 405: "method_not_allowed",
	408: "malformed_request", 431: "limit_exceeded", 501: "method_not_allowed", 502: "dial_error",
}

// linger lets the client read the answer before the connection goes: bytes nobody has read would turn the
// close into a reset.
func (p *Proxy) linger(c net.Conn) {
	if p.o.Faults.Has(RefusalHangs) {
		c.SetReadDeadline(time.Time{})
		io.Copy(io.Discard, c)
		return
	}
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	io.Copy(io.Discard, io.LimitReader(c, 1<<20))
}
