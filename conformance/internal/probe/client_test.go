// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestReadResponse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, wire string
		status             int
		complete           bool
		body, rest         string
	}{
		{"tunnel", "CONNECT", "HTTP/1.1 200 OK\r\n\r\norigin", 200, true, "", "origin"},
		{"tunnel with a length", "CONNECT", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\norigin", 200, true, "", "origin"},
		{"refusal", "CONNECT", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno!", 403, true, "no", "!"},
		{"refusal until the end", "CONNECT", "HTTP/1.0 403 Forbidden\r\n\r\nno", 403, true, "no", ""},
		{"body cut short", "CONNECT", "HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nno", 403, false, "no", ""},
		{"head cut short", "CONNECT", "HTTP/1.1 403 Forbidden\r\nContent-Le", 403, false, "", ""},
		{"chunks", "GET", "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nno\r\n0\r\n\r\n", 400, true, "no", ""},
		{"chunks cut short", "GET", "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nno", 400, false, "no", ""},
		{"HEAD", "HEAD", "HTTP/1.1 405 No\r\nContent-Length: 9\r\n\r\n", 405, true, "", ""},
		{"no HTTP", "CONNECT", "SSH-2.0-x\r\n", 0, false, "", ""},
		{"bad length", "CONNECT", "HTTP/1.1 403 No\r\nContent-Length: -1\r\n\r\n", 403, false, "", ""},
		{"nothing", "CONNECT", "", 0, false, "", ""},
	} {
		r := bufio.NewReader(strings.NewReader(c.wire))
		got := ReadResponse(r, c.method)
		rest, _ := io.ReadAll(r)
		if got.Status != c.status || got.Complete != c.complete || string(got.Body) != c.body || string(rest) != c.rest {
			t.Errorf("%s: got %d, complete %v, body %q, rest %q; want %d, %v, %q, %q",
				c.name, got.Status, got.Complete, got.Body, rest, c.status, c.complete, c.body, c.rest)
		}
		if got.Complete != (got.Err == nil) {
			t.Errorf("%s: complete %v with error %v", c.name, got.Complete, got.Err)
		}
	}
}

func TestFrames(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, f := range []struct {
		kind byte
		text string
	}{{frameData, "bytes"}, {frameEOF, ""}, {frameReset, ""}} {
		if err := writeFrame(&b, f.kind, []byte(f.text)); err != nil {
			t.Fatal(err)
		}
		kind, p, err := readFrame(&b)
		if err != nil || kind != f.kind || string(p) != f.text {
			t.Errorf("got %c %q, %v; want %c %q", kind, p, err, f.kind, f.text)
		}
	}
	if _, _, err := readFrame(strings.NewReader("d\xff\xff\xff\xff")); err == nil {
		t.Error("a frame of 4 GiB was accepted")
	}
	if _, _, err := readFrame(strings.NewReader("d\x00\x00\x00\x05ab")); err == nil {
		t.Error("half a frame was accepted")
	}
}

func TestProxyFromEnv(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want string
		auth string
	}{
		{map[string]string{"HTTPS_PROXY": "http://127.0.0.1:1"}, "127.0.0.1:1", ""},
		{map[string]string{"https_proxy": "http://127.0.0.1:2"}, "127.0.0.1:2", ""},
		{map[string]string{"HTTPS_PROXY": "http://me%20:secret@localhost:3"}, "localhost:3", "Basic bWUgOnNlY3JldA=="},
		{map[string]string{"HTTPS_PROXY": "127.0.0.1"}, "", ""},
		{nil, "", ""},
	} {
		got, auth, err := ProxyFromEnv(func(n string) string { return c.env[n] })
		if got != c.want || auth != c.auth || (err == nil) != (c.want != "") {
			t.Errorf("%v: got %q, %q, %v; want %q, %q", c.env, got, auth, err, c.want, c.auth)
		}
	}
}

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	const field = "Proxy-Authorization: Basic eA==\r\n"
	for _, c := range []struct{ sent, want string }{
		{"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nA: b\r\n", "CONNECT a:1 HTTP/1.1\r\n" + field + "Host: a\r\n\r\nA: b\r\n"},
		{"\r\nCONNECT a:1 HTTP/1.1\r\n\r\n", "\r\nCONNECT a:1 HTTP/1.1\r\n" + field + "\r\n"},
		{"CONNECT a:1 HTTP/1.1\n\n", "CONNECT a:1 HTTP/1.1\n" + field + "\n"},
		{"CONNECT a:1", "CONNECT a:1"},
	} {
		for _, step := range []int{1, 7, len(c.sent)} {
			var got, plain strings.Builder
			with, without := &authorizer{w: &got, value: "Basic eA=="}, &authorizer{w: &plain}
			for rest := c.sent; rest != ""; {
				n := min(step, len(rest))
				for _, a := range []*authorizer{with, without} {
					if wrote, err := a.Write([]byte(rest[:n])); wrote != n || err != nil {
						t.Fatalf("%q: wrote %d, %v; want %d", c.sent, wrote, err, n)
					}
				}
				rest = rest[n:]
			}
			if got.String() != c.want || plain.String() != c.sent {
				t.Errorf("%q in steps of %d: got %q and %q", c.sent, step, got.String(), plain.String())
			}
		}
	}
}
