// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// request is a head that was read.
type request struct {
	method, target, host string
	credentials          string // the value of Proxy-Authorization
	trusted              bool
}

// readRequest reads one head. Status 200 means a request, 0 the end of the connection, all else a refusal.
// renew is called before every byte when the fault HeadTimeoutRenewed is there.
func readRequest(br *bufio.Reader, f Faults, renew func()) (*request, int) {
	text, status := readHead(br, f, renew)
	if status != 200 {
		return nil, status
	}
	req, ok := parseHead(text, f)
	if !ok {
		return req, 400
	}
	return req, 200
}

// readHead reads up to the empty line.
func readHead(br *bufio.Reader, f Faults, renew func()) (string, int) {
	var head []byte
	limit := maxHead
	if f.Has(NoHeadLimit) {
		limit = 1 << 30
	}
	for {
		if f.Has(HeadTimeoutRenewed) {
			renew()
		}
		b, err := br.ReadByte()
		if err != nil {
			return endOfInput(head, err, f)
		}
		if f.Has(SegmentsRefused) && len(head) == 0 {
			if rest, _ := br.Peek(br.Buffered()); !bytes.Contains(rest, []byte("\r\n\r\n")) {
				return "", 400
			}
		}
		if len(head) >= limit {
			return "", 431
		}
		head = append(head, b)
		if bytes.HasPrefix(head, []byte("\r\n")) && len(head) == 2 && !f.Has(CRLFRefused) {
			head = head[:0] // RFC 9112 section 2.2: one empty line before the request is forgiven
			limit -= 2
			f = f.With(CRLFRefused)
			continue
		}
		if b != '\n' {
			continue
		}
		if bytes.HasSuffix(head, []byte("\r\n\r\n")) {
			return string(head), 200
		}
		// A head that ends in a way only lenient parsers see is refused at once, not waited for.
		if bytes.HasSuffix(head, []byte("\n\n")) || bytes.HasSuffix(head, []byte("\n\r\n")) {
			return string(head), 200
		}
	}
}

func endOfInput(head []byte, err error, f Faults) (string, int) {
	timeout := errors.Is(err, os.ErrDeadlineExceeded)
	evaluate := f.Has(EOFEndsHead) && errors.Is(err, io.EOF) || f.Has(TimeoutEndsHead) && timeout
	switch {
	case evaluate && bytes.HasPrefix(head, []byte("CONNECT ")):
		line, _, _ := strings.Cut(string(head), "\r\n")
		if !strings.Contains(line, " HTTP/") {
			line += " HTTP/1.1"
		}
		return line + "\r\nHost: allowed.example.com:443\r\n\r\n", 200
	case timeout && len(head) > 0:
		return "", 408
	case errors.Is(err, io.EOF) && len(head) > 0:
		return "", 400
	}
	return "", 0
}

func parseHead(text string, f Faults) (*request, bool) {
	if f.Has(LineFeedsAccepted) {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	line, fields, _ := strings.Cut(strings.TrimSuffix(text, "\r\n"), "\r\n")
	req, ok := parseLine(line, f)
	if !ok {
		return req, false
	}
	return req, parseFields(req, fields, f)
}

func parseLine(line string, f Faults) (*request, bool) {
	parts := strings.Split(line, " ")
	if f.Has(LinesLenient) {
		parts = strings.Fields(line)
		if len(parts) == 2 {
			parts = append(parts, "HTTP/1.1")
		}
	}
	if f.Has(SpacesInTarget) && len(parts) > 3 && parts[1] != "" && parts[len(parts)-1] != "" {
		parts = []string{parts[0], strings.Join(parts[1:len(parts)-1], ""), parts[len(parts)-1]}
	}
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return nil, false
	}
	req := &request{method: parts[0], target: parts[1]}
	if f.Has(MethodCaseIgnored) {
		req.method = strings.ToUpper(strings.TrimSuffix(req.method, "X"))
	}
	if parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0" && !f.Has(LinesLenient) {
		return req, false
	}
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) && !f.Has(ControlsStripped) {
		return req, false
	}
	return req, true
}

func parseFields(req *request, fields string, f Faults) bool {
	var hosts []string
	for _, line := range strings.Split(strings.TrimSuffix(fields, "\r\n"), "\r\n") {
		name, value, colon := strings.Cut(line, ":")
		bad := !colon || name == "" || strings.ContainsAny(name, " \t\r\n") ||
			strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
		if bad && line == "" && fields == "" {
			continue // no fields at all
		}
		if bad && !f.Has(FieldsLenient) {
			return false
		}
		value = strings.Trim(value, " \t")
		switch strings.ToLower(name) {
		case "host":
			hosts = append(hosts, value)
		case "proxy-authorization":
			req.credentials = value
		case "transfer-encoding":
			if !f.Has(FramingIgnored) {
				return false
			}
		case "content-length":
			if value != "0" && !f.Has(FramingIgnored) {
				return false
			}
		}
	}
	if f.Has(HostUnchecked) || f.Has(FieldsLenient) && len(hosts) == 0 {
		return true
	}
	if len(hosts) != 1 || strings.ContainsAny(hosts[0], "@/, ?#\\") {
		return false
	}
	req.host = hosts[0]
	return true
}
