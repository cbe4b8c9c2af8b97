// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var replies = []struct {
	name, in string
	status   int    // of the reply, 0 for none
	early    string // if it opens the tunnel
	kind     string // of the error, "" if it does
}{
	{"plain", "HTTP/1.1 200 OK\r\n\r\n", 200, "", ""},
	{"1.0", "HTTP/1.0 200 Connection established\r\n\r\n", 200, "", ""},
	{"no reason", "HTTP/1.1 200 \r\n\r\n", 200, "", ""},
	{"no blank", "HTTP/1.1 200\r\n\r\n", 200, "", ""},
	{"any 2xx", "HTTP/1.1 299 Fine\r\n\r\n", 299, "", ""},
	{"fields", "HTTP/1.1 200 OK\r\nVia: 1.1 x\r\nEmpty:\r\nX:\t\xe9\t\r\n\r\n", 200, "", ""},
	{"a length that means nothing", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nearly", 200, "early", ""},
	{"bytes behind", "HTTP/1.1 200 OK\r\n\r\n\r\nSSH-2.0\x00\xff", 200, "\r\nSSH-2.0\x00\xff", ""},
	{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\nearly", 200, "early", ""},
	{"as large as may be", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxReplyHead-24) + "\r\n\r\n", 200, "", ""},

	{"nothing", "", 0, "", "connection_terminated"},
	{"cut in the status line", "HTTP/1.1 20", 0, "", "http_response_incomplete"},
	{"cut behind the status line", "HTTP/1.1 200 OK\r\n", 200, "", "http_response_incomplete"},
	{"cut in a field", "HTTP/1.1 200 OK\r\nVia: 1", 200, "", "http_response_incomplete"},
	{"cut before the last line end", "HTTP/1.1 200 OK\r\nVia: 1\r\n", 200, "", "http_response_incomplete"},
	{"cut in the last line end", "HTTP/1.1 200 OK\r\nVia: 1\r\n\r", 200, "", "http_response_incomplete"},
	{"only interim", "HTTP/1.1 100 Continue\r\n\r\n", 0, "", "http_response_incomplete"},
	{"interim without end", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000), 0, "", "http_response_header_section_size"},
	{"too large", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxReplyHead-23) + "\r\n\r\n", 200, "", "http_response_header_section_size"},
	{"a line without end", strings.Repeat("x", 3*maxReplyHead), 0, "", "http_response_header_section_size"},
	{"fields without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 3000), 200, "", "http_response_header_section_size"},

	{"407", "HTTP/1.1 407 Proxy Authentication Required\r\n", 407, "", "proxy_configuration_error"},
	{"403", "HTTP/1.1 403 Forbidden\r\nX", 403, "", "destination_unavailable"},
	{"502", "HTTP/1.1 502 Bad Gateway\r\n\r\n", 502, "", "destination_unavailable"},
	{"302", "HTTP/1.1 302 Found\r\nLocation: http://evil.com\r\n\r\n", 302, "", "http_protocol_error"},
	{"a refusal with a bad field", "HTTP/1.1 403 Forbidden\r\n\x00", 403, "", "destination_unavailable"},
	{"101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 0, "", "http_protocol_error"},
	{"interim with a body", "HTTP/1.1 100 Continue\r\nContent-Length: 30\r\n\r\n", 0, "", "http_protocol_error"},
	{"bare LF", "HTTP/1.1 200 OK\n\n", 0, "", "http_protocol_error"},
	{"bare LF at the end", "HTTP/1.1 200 OK\r\nX: y\r\n\n", 200, "", "http_protocol_error"},
	{"bare CR", "HTTP/1.1 200 OK\rX\r\n\r\n", 0, "", "http_protocol_error"},
	{"NUL", "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", 200, "", "http_protocol_error"},
	{"fold", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", 200, "", "http_protocol_error"},
	{"blank before the colon", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", 200, "", "http_protocol_error"},
	{"no colon", "HTTP/1.1 200 OK\r\nX\r\n\r\n", 200, "", "http_protocol_error"},
	{"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"lower case", "http/1.1 200 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"ICY", "ICY 200 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"two digits", "HTTP/1.1 20 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"signed", "HTTP/1.1 +20 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"two blanks", "HTTP/1.1  200 OK\r\n\r\n", 0, "", "http_protocol_error"},
	{"600", "HTTP/1.1 600 X\r\n\r\n", 0, "", "http_protocol_error"},
	{"000", "HTTP/1.1 000 X\r\n\r\n", 0, "", "http_protocol_error"},
	{"no status", "HTTP/1.1\r\n\r\n", 0, "", "http_protocol_error"},
	{"another protocol", "220 mail ESMTP\r\n", 0, "", "http_protocol_error"},
	{"TLS", "\x15\x03\x01\x00\x02\x02\x46", 0, "", "http_protocol_error"},
	{"HTTP/0.9", "<html>\n", 0, "", "http_protocol_error"},
}

func TestUpstreamReply(t *testing.T) {
	t.Parallel()
	for _, tt := range replies {
		for form, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "with EOF": iotest.DataErrReader,
		} {
			in := strings.NewReader(tt.in)
			reply, err := readUpstreamReply(wrap(in), maxReplyHead)
			kind, status := "", reply.status
			var ue *upstreamError
			if errors.As(err, &ue) {
				kind = ue.kind
			}
			if status != tt.status || kind != tt.kind || (err == nil) != (tt.kind == "") {
				t.Errorf("%s, %s: status %d, %v (%q); want %d, %q", tt.name, form, status, err, kind, tt.status, tt.kind)
			}
			// A byte behind the head is either given or still there.
			left, _ := io.ReadAll(in)
			if got := string(reply.early) + string(left); err == nil && got != tt.early {
				t.Errorf("%s, %s: behind the head %q, want %q", tt.name, form, got, tt.early)
			}
			if err != nil && reply.early != nil {
				t.Errorf("%s, %s: bytes %q with an error", tt.name, form, reply.early)
			}
		}
	}
}

// However a reply is cut into reads, it is the same reply, and everything it gives
// behind the head is what came behind the first empty line of its final response.
func FuzzUpstreamReply(f *testing.F) {
	for _, tt := range replies {
		if len(tt.in) < 200 {
			f.Add([]byte(tt.in))
		}
	}
	const limit = 512
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := bytes.NewReader(in)
		a, errA := readUpstreamReply(whole, limit)
		bytewise := bytes.NewReader(in)
		b, errB := readUpstreamReply(iotest.OneByteReader(bytewise), limit)
		if a.status != b.status || (errA == nil) != (errB == nil) || errA != nil && errA.Error() != errB.Error() {
			t.Fatalf("whole %d, %v; bytewise %d, %v", a.status, errA, b.status, errB)
		}
		if errA != nil {
			return
		}
		left, _ := io.ReadAll(whole)
		behind := string(a.early) + string(left)
		left, _ = io.ReadAll(bytewise)
		if behind != string(left) || len(b.early) != 0 {
			t.Fatalf("behind the head %q, bytewise %q and %q", behind, b.early, left)
		}
		head := string(in[:len(in)-len(behind)])
		if a.status/100 != 2 || len(head) > limit || !strings.HasSuffix(head, "\r\n\r\n") || !strings.HasSuffix(string(in), behind) {
			t.Fatalf("status %d with head %q", a.status, head)
		}
	})
}
