// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestHeadParser(t *testing.T) {
	t.Parallel()
	const line, host = "CONNECT a.com:443 HTTP/1.1\r\n", "Host: a.com:443\r\n"
	tests := []struct {
		name, in string
		want     error
	}{
		{"plain", line + host + "\r\n", nil},
		{"other fields", line + host + "User-Agent: \tx y\t\r\nProxy-Authorization: Basic eA==\r\nX:\r\n\r\n", nil},
		{"field bytes beyond ASCII", line + host + "X: \xc3\xa9\xff\r\n\r\n", nil},
		{"HTTP/1.0 without Host", "CONNECT a.com:443 HTTP/1.0\r\n\r\n", nil},
		{"HTTP/1.0 with two Hosts", "CONNECT a.com:443 HTTP/1.0\r\n" + host + host + "\r\n", errHostTwice},
		{"one empty line before", "\r\n" + line + host + "\r\n", nil},
		{"two empty lines before", "\r\n\r\n" + line + host + "\r\n", errBlankLines},
		{"bare LF before", "\n" + line + host + "\r\n", errBareLF},
		{"bare LF in the request line", "CONNECT a.com:443 HTTP/1.1\n" + host + "\r\n", errBareLF},
		{"bare LF in a field", line + "Host: a.com\n\r\n", errBareLF},
		{"bare LF as the end", line + host + "\n", errBareLF},
		{"bare CR in a field", line + host + "X: a\rb\r\n\r\n", errBareCR},
		{"CR CR LF", line + host + "X: a\r\r\n\r\n", errBareCR},
		{"CR only", "CONNECT a.com:443 HTTP/1.1\rHost: a\r\r", errBareCR},
		{"NUL in the target", "CONNECT a.com\x00:443 HTTP/1.1\r\n" + host + "\r\n", errControl},
		{"NUL in a field", line + host + "X: a\x00b\r\n\r\n", errControl},
		{"DEL in a field", line + host + "X: a\x7fb\r\n\r\n", errControl},
		{"ESC in a field", line + host + "X: \x1b[31m\r\n\r\n", errControl},
		{"TLS client hello", "\x16\x03\x01\x02\x00\x01", errControl},
		{"SOCKS5 hello", "\x05\x01\x00", errControl},
		{"obs-fold", line + host + "X: a\r\n b\r\n\r\n", errFold},
		{"white space before the first field", line + " X: a\r\n" + host + "\r\n", errFold},
		{"white space line", line + host + " \r\n\r\n", errFold},
		{"tab line", line + host + "\t\r\n\r\n", errFold},
		{"no colon", line + host + "X\r\n\r\n", errFieldName},
		{"empty name", line + host + ": a\r\n\r\n", errFieldName},
		{"space before the colon", line + "Host : a.com\r\n\r\n", errFieldName},
		{"tab before the colon", line + "Host\t: a.com\r\n\r\n", errFieldName},
		{"name not a token", line + host + "X(y): a\r\n\r\n", errFieldName},
		{"no Host", line + "X: a\r\n\r\n", errHostMissing},
		{"two Hosts", line + host + "host: b.com\r\n\r\n", errHostTwice},
		{"empty Host", line + "Host:\r\n\r\n", errHostInvalid},
		{"Host list", line + "Host: a.com, b.com\r\n\r\n", errHostInvalid},
		{"Host with a path", line + "Host: a.com/x\r\n\r\n", errHostInvalid},
		{"Host with userinfo", line + "Host: x@a.com\r\n\r\n", errHostInvalid},
		{"Host with a word for a port", line + "Host: a.com:https\r\n\r\n", errHostInvalid},
		{"Host with two ports", line + "Host: a.com:1:2\r\n\r\n", errHostInvalid},
		{"Host in brackets", line + "Host: [2001:db8::1]:443\r\n\r\n", nil},
		{"Host with an open bracket", line + "Host: [::1\r\n\r\n", errHostInvalid},
		{"Host with text behind the bracket", line + "Host: [::1]x\r\n\r\n", errHostInvalid},
		{"another Host", line + "Host: other.com\r\n\r\n", nil},
		{"no target", "CONNECT HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"empty target", "CONNECT  HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"two spaces", "CONNECT  a.com:443 HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"a space in the target", "CONNECT a.com :443 HTTP/1.1\r\n" + host + "\r\n", errVersion},
		{"a trailing space", "CONNECT a.com:443 HTTP/1.1 \r\n" + host + "\r\n", errVersion},
		{"a tab for a space", "CONNECT\ta.com:443 HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"a tab in the target", "CONNECT a.com:\t443 HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"no version", "CONNECT a.com:443\r\n" + host + "\r\n", errRequestLine},
		{"empty method", " a.com:443 HTTP/1.1\r\n" + host + "\r\n", errMethod},
		{"method not a token", "CON{NECT a.com:443 HTTP/1.1\r\n" + host + "\r\n", errMethod},
		{"lower-case method", "connect a.com:443 HTTP/1.1\r\n" + host + "\r\n", nil},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", errVersion},
		{"HTTP/0.9", "CONNECT a.com:443 HTTP/0.9\r\n" + host + "\r\n", errVersion},
		{"HTTP/1.2", "CONNECT a.com:443 HTTP/1.2\r\n" + host + "\r\n", errVersion},
		{"http/1.1", "CONNECT a.com:443 http/1.1\r\n" + host + "\r\n", errVersion},
		{"HTTP/01.1", "CONNECT a.com:443 HTTP/01.1\r\n" + host + "\r\n", errVersion},
		{"HTTP/1.", "CONNECT a.com:443 HTTP/1.\r\n" + host + "\r\n", errVersion},
		{"Content-Length", line + host + "Content-Length: 5\r\n\r\n", errConnectBody},
		{"Content-Length 0", line + host + "Content-Length: 0\r\n\r\n", nil},
		{"Content-Length +0", line + host + "Content-Length: +0\r\n\r\n", errConnectBody},
		{"Content-Length 00", line + host + "content-length: 00\r\n\r\n", errConnectBody},
		{"Content-Length empty", line + host + "Content-Length:\r\n\r\n", errConnectBody},
		{"Transfer-Encoding", line + host + "Transfer-Encoding: chunked\r\n\r\n", errConnectBody},
		{"Transfer-Encoding empty", line + host + "TRANSFER-ENCODING:\r\n\r\n", errConnectBody},
		{"a body with another method", "POST http://a.com/ HTTP/1.1\r\nHost: a.com\r\nContent-Length: 5\r\n\r\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := []byte(tt.in)
			var whole headParser
			done, err := whole.feed(in)
			if !errors.Is(err, tt.want) || done != (tt.want == nil) {
				t.Fatalf("feed = %v, %v; want %v", done, err, tt.want)
			}
			var bytewise headParser
			done, err = false, nil
			for i := 1; i <= len(in) && !done && err == nil; i++ {
				done, err = bytewise.feed(in[:i])
			}
			if !errors.Is(err, tt.want) || done != (tt.want == nil) {
				t.Errorf("byte by byte: %v, %v; want %v", done, err, tt.want)
			}
			if bytewise.head != whole.head || bytewise.off != whole.off {
				t.Errorf("byte by byte: %+v, in one piece: %+v", bytewise, whole)
			}
		})
	}
}

func TestHeadParserLeavesTheRest(t *testing.T) {
	t.Parallel()
	in := head("a.com:443") + "\r\n\r\nbehind"
	var p headParser
	done, err := p.feed([]byte(in))
	if !done || err != nil || in[p.off:] != "\r\n\r\nbehind" {
		t.Errorf("feed = %v, %v with %q left", done, err, in[p.off:])
	}
	if want := (requestHead{"CONNECT", "a.com:443"}); p.head != want {
		t.Errorf("head = %+v, want %+v", p.head, want)
	}
}

// FuzzHead holds the parser against net/http's: what it accepts, net/http accepts
// too, and sees the same method and target in it, whatever the pieces.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		head("a.com:443"), "\r\n" + head("a.com:443") + "x", "CONNECT a.com:443 HTTP/1.0\r\n\r\n",
		"GET http://a.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "CONNECT b\xc3\xbccher.de:443 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var p, q headParser
		done, err := p.feed(in)
		var qdone bool
		var qerr error
		for i := 0; i < len(in) && !qdone && qerr == nil; {
			i = min(len(in), i+1+int(step))
			qdone, qerr = q.feed(in[:i])
		}
		if done != qdone || !errors.Is(qerr, err) || p.head != q.head || done && p.off != q.off {
			t.Fatalf("in one piece %+v %v, in pieces of %d %+v %v", p, err, step+1, q, qerr)
		}
		if !done || p.head.method != http.MethodConnect {
			return
		}
		if target, err := ParseTarget(p.head.target); err != nil || !target.Addr.IsValid() && target.Host == "" {
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(in, []byte("\r\n")))))
		if err != nil {
			t.Fatalf("accepted %q, which net/http refuses: %v", in, err)
		}
		if req.Method != p.head.method || req.RequestURI != p.head.target {
			t.Fatalf("saw %+v in %q, net/http %s %s", p.head, in, req.Method, req.RequestURI)
		}
		if strings.ContainsAny(p.head.target, " \t\r\n\x00") {
			t.Fatalf("target %q", p.head.target)
		}
	})
}
