// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func mustUpstream(t testing.TB, rawURL string) *Upstream {
	t.Helper()
	u, err := ParseUpstream(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParseUpstream(t *testing.T) {
	t.Parallel()
	tests := []struct {
		url, want, user, password string
	}{
		{"http://proxy.corp:3128", "http://proxy.corp:3128", "", ""},
		{"http://proxy.corp", "http://proxy.corp:80", "", ""},
		{"http://proxy.corp/", "http://proxy.corp:80", "", ""},
		{"https://proxy.corp", "https://proxy.corp:443", "", ""},
		{"socks5h://proxy.corp", "socks5h://proxy.corp:1080", "", ""},
		{"HTTP://Proxy.Corp.:3128", "http://proxy.corp:3128", "", ""},
		{"http://proxy", "http://proxy:80", "", ""},
		{"http://bücher.example", "http://xn--bcher-kva.example:80", "", ""},
		{"http://127.0.0.1:3128", "http://127.0.0.1:3128", "", ""},
		{"http://[::1]:3128", "http://[::1]:3128", "", ""},
		{"https://[2001:db8::1]", "https://[2001:db8::1]:443", "", ""},
		{"http://[::ffff:10.0.0.1]:1", "http://10.0.0.1:1", "", ""},
		{"unix:///run/proxy.sock", "unix:///run/proxy.sock", "", ""},
		{"unix:///run/a%20b", "unix:///run/a%20b", "", ""},
		{"unix://u:p@/run/proxy.sock", "unix:///run/proxy.sock", "u", "p"},
		{"http://u:p@proxy.corp:3128", "http://proxy.corp:3128", "u", "p"},
		{"http://u@proxy.corp", "http://proxy.corp:80", "u", ""},
		{"http://u:@proxy.corp", "http://proxy.corp:80", "u", ""},
		{"http://:p@proxy.corp", "http://proxy.corp:80", "", "p"},
		{"http://u:p%3A%40%2F%3F%23%25@proxy.corp", "http://proxy.corp:80", "u", "p:@/?#%"},
		{"http://u:a:b@proxy.corp", "http://proxy.corp:80", "u", "a:b"},
		{"http://u:p%C3%A9@proxy.corp", "http://proxy.corp:80", "u", "pé"},
		{"socks5h://u%3Av:p@proxy.corp:9", "socks5h://proxy.corp:9", "u:v", "p"},
	}
	for _, tt := range tests {
		u, err := ParseUpstream(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		user, password := "", ""
		if u.credentials != nil {
			user, password = u.credentials()
		}
		if u.String() != tt.want || user != tt.user || password != tt.password {
			t.Errorf("%s: %v with %q, %q; want %s with %q, %q", tt.url, u, user, password, tt.want, tt.user, tt.password)
		}
		if again, err := ParseUpstream(u.String()); err != nil || again.String() != u.String() {
			t.Errorf("%s: parsed again %v, %v", u, again, err)
		}
	}
}

// badUpstreams are URLs with sEcReT in every one that has room for it.
var badUpstreams = []struct{ url, says string }{
	{"", "empty"},
	{" ", "blank"},
	{"sEcReT.corp:3128", "socks5h://"},
	{"sEcReT", "socks5h://"},
	{"sEcReT:sEcReT@proxy:3128", "socks5h://"},
	{"//sEcReT@proxy", "socks5h://"},
	{"http:sEcReT", "http://"},
	{"http:/sEcReT", "http://"},
	{"http://", "host"},
	{"http:///", "host"},
	{"http://:3128", "host"},
	{"http://u:sEcReT@:3128", "host"},
	{"ftp://u:sEcReT@proxy", "socks5h://"},
	{"socks://u:sEcReT@proxy", "socks5h://"},
	{"socks4://u:sEcReT@proxy", "socks5h://"},
	{"socks5://u:sEcReT@proxy", "socks5h://"},
	{"http+unix://u:sEcReT@proxy", "unix://"},
	{"direct://", "http://"},
	{"http://u:sEcReT@proxy:", "port"},
	{"http://u:sEcReT@proxy:0", "port"},
	{"http://u:sEcReT@proxy:65536", "port"},
	{"http://u:sEcReT@proxy:03128", "port"},
	{"http://u:sEcReT@proxy:+80", "URL"},
	{"http://u:sEcReT@proxy:http", "URL"},
	{"http://u:sEcReT@proxy:3128/path", "path"},
	{"http://u:sEcReT@proxy:3128//", "path"},
	{"http://u:sEcReT@proxy:3128?", "query"},
	{"http://u:sEcReT@proxy:3128#", "fragment"},
	{"http://u:12/sEcReT@proxy:3128", "path"},
	{"http://u:12?sEcReT@proxy:3128", "query"},
	{"http://u:sEcReT/x@proxy:3128", "URL"},
	{"http://u:sEcReT%zz@proxy", "URL"},
	{"http://u:sEcReT%@proxy", "URL"},
	{"http://u:sEcReT[@proxy", ""},
	{"http://u:sEcReT\\@proxy", ""},
	{"http://u:sEcReT @proxy", "blank"},
	{"http://u:sEcReT\r\nX: y@proxy", "control"},
	{"http://u:sEcReT%0d%0aX:y@proxy", "control"},
	{"http://u:sEcReT%00@proxy", "control"},
	{"http://u:sEcReT%C2%85@proxy", "control"},
	{"http://u:sEcReT%ff@proxy", "UTF-8"},
	{"http://u%3Av:sEcReT@proxy", "colon"},
	{"http://@proxy", "empty"},
	{"http://:@proxy", "empty"},
	{"http://u:" + strings.Repeat("sEcReT", 400) + "@proxy", "2048"},
	{"socks5h://sEcReT@proxy", "1929"},
	{"socks5h://:sEcReT@proxy", "1929"},
	{"socks5h://u:" + strings.Repeat("sEcReT", 43) + "@proxy", "1929"},
	{"http://u:sEcReT@[fe80::1%25eth0]:3128", "zone"},
	{"http://u:sEcReT@[::1", "URL"},
	{"http://u:sEcReT@::1:3128", ""},
	{"http://u:sEcReT@127.1:3128", "IPv4"},
	{"http://u:sEcReT@0x7f000001", "IPv4"},
	{"http://u:sEcReT@pro_xy..corp", ""},
	{"http://u:sEcReT@a b", "blank"},
	{"unix://", "absolute"},
	{"unix:///", "absolute"},
	{"unix:///run/", "absolute"},
	{"unix://run/sEcReT", "absolute"},
	{"unix://u:sEcReT@host/run", "absolute"},
	{"unix:sEcReT", "unix://"},
	{"unix:///run/a%00sEcReT", "control"},
	{"unix:///run/sEcReT?x", "query"},
	{"unix:///" + strings.Repeat("sEcReT", 20), "bytes"},
}

func TestParseUpstreamRefusesWithoutQuoting(t *testing.T) {
	t.Parallel()
	for _, tt := range badUpstreams {
		u, err := ParseUpstream(tt.url)
		if err == nil || u != nil {
			t.Errorf("%q: %v, %v; want an error", tt.url, u, err)
			continue
		}
		if text := fmt.Sprintf("%v %+v %#v %q", err, err, err, err); strings.Contains(strings.ToLower(text), "secret") {
			t.Errorf("%q: the error quotes it: %s", tt.url, text)
		}
		contains(t, tt.url, err.Error(), "proxycore: upstream URL: ", tt.says)
	}
}

func FuzzParseUpstream(f *testing.F) {
	for _, tt := range badUpstreams {
		f.Add(tt.url)
	}
	f.Add("https://u:p%40@[2001:db8::1]:8080/")
	f.Add("unix://u:p@/run/%C3%A9")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseUpstream(raw)
		if (u == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", raw, u, err)
		}
		if err != nil {
			// Planted where a password may stand, it is in no error either.
			const secret = "q9Zw7Kx1"
			planted := strings.Replace(raw, ":", ":"+secret, 2)
			if _, err := ParseUpstream(planted); err != nil && strings.Contains(err.Error(), secret) {
				t.Fatalf("%q: %v", planted, err)
			}
			return
		}
		again, err := ParseUpstream(u.String())
		if err != nil || again.String() != u.String() || again.credentials != nil {
			t.Fatalf("%q: %v, again %v, %v", raw, u, again, err)
		}
		if u.credentials != nil {
			head := string(u.connectHead(Target{Host: "a.com", Port: 1}))
			if strings.Count(head, "\r\n") != 4 || strings.Count(head, "\n") != 4 {
				t.Fatalf("%q: %q", raw, head)
			}
		}
	})
}

func TestUpstreamIsPrintedWithoutCredentials(t *testing.T) {
	t.Parallel()
	const want = "https://proxy.corp:443"
	u := mustUpstream(t, "https://uSeR:pAsS@proxy.corp").WithRoots(x509.NewCertPool()).WithLookup(LookupHere)
	u, err := u.WithCredentials("uSeR", "pAsS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Upstream: u}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%10.3v"} {
		if got := fmt.Sprintf(verb, u); got != want {
			t.Errorf("%s = %q, want %q", verb, got, want)
		}
		fmt.Fprintf(&out, verb+verb+verb+verb, *u, cfg, &cfg, []*Upstream{u})
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "upstream", u, "value", *u, "config", cfg.Upstream)
	}
	j, err := json.Marshal(map[string]any{"u": u, "v": *u})
	if err != nil || !bytes.Contains(j, []byte(want)) {
		t.Errorf("JSON %s, %v", j, err)
	}
	out.Write(j)
	for _, secret := range []string{"uSeR", "pAsS", "dVNlUjpwQXNT"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in %s", secret, out.String())
		}
	}
	if got := (*Upstream)(nil).String(); got != "no upstream" {
		t.Errorf("nil = %q", got)
	}
}

func TestUpstreamCopies(t *testing.T) {
	t.Parallel()
	u := mustUpstream(t, "https://a:b@proxy.corp")
	pool := x509.NewCertPool()
	v, err := u.WithCredentials("c:"[:1], "d")
	if err != nil {
		t.Fatal(err)
	}
	v = v.WithRoots(pool).WithLookup(LookupHere)
	user, password := v.credentials()
	if user != "c" || password != "d" || v.tls.RootCAs != pool || v.lookup != LookupHere {
		t.Errorf("copy = %q, %q, %v", user, password, v.lookup)
	}
	if user, _ := u.credentials(); user != "a" || u.tls.RootCAs != nil || u.lookup != LookupUpstream {
		t.Error("the original changed")
	}
	for _, c := range [][2]string{{"", ""}, {"sEcReT:", "x"}, {"x\n", "sEcReT"}, {"x", "sEcReT\x00"}, {"x", "sEcReT\xff"}} {
		if v, err := u.WithCredentials(c[0], c[1]); err == nil || v != nil || strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%q: %v, %v", c, v, err)
		}
	}
}

func TestZeroUpstreamIsRefused(t *testing.T) {
	t.Parallel()
	if h, err := (BuiltIn{Config: Config{Upstream: new(Upstream)}}).Start(context.Background()); err == nil {
		h.Close()
		t.Error("started")
	}
}
