// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"strings"
	"testing"
)

func TestUpstreamFromEnvironment(t *testing.T) {
	t.Parallel()
	const up = "HTTPS_PROXY=http://u:p@proxy.corp:3128"
	tests := []struct {
		name    string
		env     []string
		target  string
		through string // "" means direct
	}{
		{"upper case", []string{up}, "a.com:443", "http://proxy.corp:3128"},
		{"port 80 too", []string{up}, "a.com:80", "http://proxy.corp:3128"},
		{"lower case comes first", []string{up, "https_proxy=http://low"}, "a.com:443", "http://low:80"},
		{"without a scheme", []string{"https_proxy=proxy.corp:8080"}, "a.com:443", "http://proxy.corp:8080"},
		{"all", []string{"ALL_PROXY=socks5h://s"}, "a.com:443", "socks5h://s:1080"},
		{"https before all", []string{"all_proxy=socks5h://s", up}, "a.com:443", "http://proxy.corp:3128"},
		{"the last of one name", []string{"https_proxy=http://x", "https_proxy=http://y"}, "a.com:443", "http://y:80"},
		{"a CGI program's", []string{up, "REQUEST_METHOD=GET"}, "a.com:443", "http://proxy.corp:3128"},

		{"name", []string{up, "NO_PROXY=a.com"}, "a.com:443", ""},
		{"name, another case", []string{up, "NO_PROXY=A.COM"}, "a.com:443", ""},
		{"lower-case list", []string{up, "no_proxy=a.com", "NO_PROXY=b.com"}, "b.com:443", "http://proxy.corp:3128"},
		{"empty lower-case list", []string{up, "no_proxy=", "NO_PROXY=b.com"}, "b.com:443", ""},
		{"below a name", []string{up, "NO_PROXY=a.com"}, "x.a.com:443", ""},
		{"not the end of a label", []string{up, "NO_PROXY=a.com"}, "xa.com:443", "http://proxy.corp:3128"},
		{"with a dot: below", []string{up, "NO_PROXY=.a.com"}, "x.a.com:443", ""},
		{"with a dot: not itself", []string{up, "NO_PROXY=.a.com"}, "a.com:443", "http://proxy.corp:3128"},
		{"with a star", []string{up, "NO_PROXY=*.a.com"}, "x.a.com:443", ""},
		{"all direct", []string{up, "NO_PROXY=*"}, "a.com:443", ""},
		{"a star among others", []string{up, "NO_PROXY=b.com, * "}, "a.com:443", ""},
		{"a star in a name", []string{up, "NO_PROXY=a.*"}, "a.com:443", "http://proxy.corp:3128"},
		{"port", []string{up, "NO_PROXY=a.com:8443"}, "a.com:8443", ""},
		{"another port", []string{up, "NO_PROXY=a.com:8443"}, "a.com:443", "http://proxy.corp:3128"},
		{"address", []string{up, "NO_PROXY=10.0.0.1"}, "10.0.0.1:443", ""},
		{"prefix", []string{up, "NO_PROXY=10.0.0.0/8"}, "10.9.9.9:443", ""},
		{"outside the prefix", []string{up, "NO_PROXY=10.0.0.0/8"}, "11.0.0.1:443", "http://proxy.corp:3128"},
		{"a prefix that is none", []string{up, "NO_PROXY=10.0.0.0/99"}, "10.0.0.1:443", "http://proxy.corp:3128"},
		{"a prefix is not for names", []string{up, "NO_PROXY=0.0.0.0/0,::/0"}, "a.com:443", "http://proxy.corp:3128"},
		{"IPv6", []string{up, "NO_PROXY=2001:db8::/32"}, "[2001:db8::1]:443", ""},
		{"IPv6 with a port", []string{up, "NO_PROXY=[2001:db8::1]:443"}, "[2001:db8::1]:443", ""},
		{"a zone is no way round", []string{up, "NO_PROXY=[::1%25.example.com]:443,.example.com"}, "[2001:db8::1]:443", "http://proxy.corp:3128"},
		{"nonsense", []string{up, "NO_PROXY=,,:,:80,[],[:,%,\x00"}, "a.com:443", "http://proxy.corp:3128"},
		{"spaces divide nothing", []string{up, "NO_PROXY=b.com a.com"}, "a.com:443", "http://proxy.corp:3128"},

		{"localhost", []string{up}, "localhost:5432", ""},
		{"below localhost", []string{up}, "a.localhost:5432", "http://proxy.corp:3128"},
		{"localhost in a domain", []string{up}, "localhost.a.com:443", "http://proxy.corp:3128"},
		{"loopback", []string{up}, "127.9.9.9:80", ""},
		{"IPv6 loopback", []string{up}, "[::1]:80", ""},
		{"mapped loopback", []string{up}, "[::ffff:127.0.0.1]:80", ""},
		{"unspecified", []string{up}, "0.0.0.0:80", "http://proxy.corp:3128"},
		{"NAT64 of loopback", []string{up}, "[64:ff9b::7f00:1]:80", "http://proxy.corp:3128"},

		{"the upstream itself", []string{up, "NO_PROXY=corp"}, "proxy.corp:3128", "http://proxy.corp:3128"},
		{"the upstream's host", []string{up, "NO_PROXY=corp"}, "proxy.corp:443", ""},
		{"an upstream at loopback by its name", []string{"https_proxy=http://127.0.0.1:3128"}, "localhost:3128", "http://127.0.0.1:3128"},
		{"an upstream at localhost by an address", []string{"https_proxy=http://localhost:3128"}, "127.0.0.9:3128", "http://localhost:3128"},
		{"an upstream at IPv6 loopback by the other family", []string{"https_proxy=http://[::1]:3128"}, "127.0.0.1:3128", "http://[::1]:3128"},
		{"another port of loopback", []string{"https_proxy=http://localhost:3128"}, "127.0.0.1:3129", ""},
		{"an upstream at loopback", []string{"https_proxy=http://127.0.0.1:3128"}, "127.0.0.1:3128", "http://127.0.0.1:3128"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			route, err := UpstreamFromEnvironment(tt.env)
			if err != nil {
				t.Fatal(err)
			}
			target, err := ParseTarget(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			u, err := route(target)
			got := ""
			if u != nil {
				got = u.String()
			}
			if got != tt.through || err != nil {
				t.Errorf("%v goes through %q, %v; want %q", target, got, err, tt.through)
			}
		})
	}
}

func TestUpstreamFromEnvironmentNeverMeansDirectByMistake(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  []string
		says string
	}{
		{nil, "HTTPS_PROXY"},
		{[]string{"HTTP_PROXY=http://proxy"}, "plain HTTP"},
		{[]string{"NO_PROXY=*"}, "HTTPS_PROXY"},
		{[]string{"HTTPS_PROXY="}, "HTTPS_PROXY: it is empty"},
		{[]string{"HTTPS_PROXY"}, "HTTPS_PROXY: it is empty"},
		{[]string{"https_proxy=", "HTTPS_PROXY=http://proxy"}, "https_proxy: it is empty"},
		{[]string{"https_proxy=http://proxy", "HTTPS_PROXY="}, "HTTPS_PROXY: it is empty"},
		{[]string{"https_proxy=http://proxy", "all_proxy="}, "all_proxy: it is empty"},
		{[]string{"ALL_PROXY=socks5://u:sEcReT@proxy"}, "ALL_PROXY: of the SOCKS schemes only socks5h://"},
		{[]string{"HTTPS_PROXY=u:sEcReT@proxy:99999"}, "port"},
		{[]string{"HTTPS_PROXY=http://u:sEcReT%zz@proxy"}, "not a URL"},
		{[]string{"HTTPS_PROXY=direct"}, ""}, // a name like any other
	} {
		route, err := UpstreamFromEnvironment(tt.env)
		if tt.says == "" {
			if err != nil {
				t.Errorf("%q: %v", tt.env, err)
			}
			continue
		}
		if err == nil || route != nil {
			t.Errorf("%q: no error", tt.env)
			continue
		}
		contains(t, strings.Join(tt.env, " "), err.Error(), tt.says)
		if strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%q: %v", tt.env, err)
		}
	}
}
