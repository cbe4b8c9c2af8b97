// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestEnviron(t *testing.T) {
	t.Parallel()
	base := []string{
		"PATH=/bin", "http_proxy=http://old", "Https_Proxy=http://old", "NO_PROXY=10.0.0.0/8", "npm_config_proxy=http://old",
		"NPM_CONFIG_HTTPS_PROXY=x", "NODE_USE_ENV_PROXY=0", "SSL_CERT_FILE=/old.pem", "SSL_CERT_DIR=/old", "EMPTY=", "ODD",
	}
	before := slices.Clone(base)
	got := Environ(base, Bouquet{ProxyURL: "http://127.0.0.1:1"})
	want := []string{
		"PATH=/bin", "SSL_CERT_FILE=/old.pem", "SSL_CERT_DIR=/old", "EMPTY=", "ODD",
		"HTTP_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1",
		"https_proxy=http://127.0.0.1:1", "ALL_PROXY=http://127.0.0.1:1", "all_proxy=http://127.0.0.1:1",
		"NO_PROXY=localhost,127.0.0.1,::1", "no_proxy=localhost,127.0.0.1,::1", "NODE_USE_ENV_PROXY=1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("Environ =\n%q, want\n%q", got, want)
	}
	if !slices.Equal(base, before) {
		t.Errorf("base was changed to %q", base)
	}
	got = Environ(base, Bouquet{ProxyURL: "http://127.0.0.1:1", CABundle: "/ca.pem"})
	for _, name := range []string{
		"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
		"CARGO_HTTP_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE", "DENO_CERT",
	} {
		if !slices.Contains(got, name+"=/ca.pem") {
			t.Errorf("%s is not set", name)
		}
	}
	for _, old := range []string{"SSL_CERT_FILE=/old.pem", "SSL_CERT_DIR=/old"} {
		if slices.Contains(got, old) {
			t.Errorf("%s is still there", old)
		}
	}
	if got := Environ(base, Bouquet{}); !slices.Equal(got, want[:5]) {
		t.Errorf("without a proxy: %q, want %q", got, want[:5])
	}
}

// The options of the virtual machine are split at white space, and quotation marks
// keep a path together; external/trust shows a real Java the result.
func TestEnvironOfJava(t *testing.T) {
	t.Parallel()
	const end = " -Djavax.net.ssl.trustStoreType=PKCS12"
	for _, tt := range []struct {
		base        []string
		store, want string
	}{
		{nil, "/d/t.p12", "-Djavax.net.ssl.trustStore=/d/t.p12" + end},
		{[]string{"JAVA_TOOL_OPTIONS="}, "/d/t.p12", "-Djavax.net.ssl.trustStore=/d/t.p12" + end},
		{[]string{"JAVA_TOOL_OPTIONS=-Xmx1g -Da=b"}, "/d/t.p12", "-Xmx1g -Da=b -Djavax.net.ssl.trustStore=/d/t.p12" + end},
		{[]string{"JAVA_TOOL_OPTIONS=-Da=1", "JAVA_TOOL_OPTIONS=-Da=2"}, "/t", "-Da=2 -Djavax.net.ssl.trustStore=/t" + end},
		{nil, "/my dir/t.p12", `-Djavax.net.ssl.trustStore="/my dir/t.p12"` + end},
		{nil, `/it's "mine"/t.p12`, `-Djavax.net.ssl.trustStore="/it's "'"'"mine"'"'"/t.p12"` + end},
		{nil, `C:\d\t.p12`, `-Djavax.net.ssl.trustStore=C:\d\t.p12` + end},
	} {
		h, _ := NewHandle(HandleConfig{JavaTrustStore: tt.store})
		if got, want := h.Environ(tt.base), "JAVA_TOOL_OPTIONS="+tt.want; !slices.Equal(got, []string{want}) {
			t.Errorf("%q with %q:\n%q, want\n%q", tt.store, tt.base, got, want)
		}
		if h.JavaTrustStore() != tt.store {
			t.Errorf("JavaTrustStore = %q, want %q", h.JavaTrustStore(), tt.store)
		}
	}
	base := []string{"JAVA_TOOL_OPTIONS=-Da=b"}
	if got := Environ(base, Bouquet{CABundle: "/ca.pem"}); !slices.Contains(got, base[0]) {
		t.Errorf("without a trust store: %q, want it to hold %q", got, base[0])
	}
}

func TestNoProxyNeverLeadsPastTheProxy(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":  "localhost,127.0.0.1,::1",
		"-": "",
		"localhost, 127.0.0.0/8 ,[::1],.internal,a.com:8080": "localhost,127.0.0.0/8,[::1],.internal,a.com:8080",
		"a.com,10.0.0.0/8,192.168.1.1,169.254.169.254":       "a.com",
		"*,0.0.0.0/0,::/0,fd00::1,[fd00::1]:80,10.0.0.1:80":  "",
		"::ffff:169.254.169.254,10/8,172.16.0.0/12":          "",
		"127.0.0.0/0,127.0.0.0/7,::1/0,127.1.0.0/16,::1/128": "127.1.0.0/16,::1/128",
	}
	for in, want := range tests {
		env := Environ(nil, Bouquet{ProxyURL: "http://x", NoProxy: in})
		if !slices.Contains(env, "NO_PROXY="+want) || !slices.Contains(env, "no_proxy="+want) {
			t.Errorf("NoProxy %q: %q, want %q", in, env, want)
		}
	}
}

func TestNoProxyIsEmptyWhenLoopbackIsAdmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"localhost:8080"}, nil)
	if env := w.h.Environ(nil); !slices.Contains(env, "NO_PROXY=") {
		t.Errorf("Environ = %q, want an empty NO_PROXY", env)
	}
	w.h.SetFilter(allowing(t, "github.com"))
	if env := strings.Join(w.h.Environ(nil), " "); !strings.Contains(env, "NO_PROXY="+defaultNoProxy) {
		t.Errorf("Environ = %q, want the default NO_PROXY", env)
	}
}

// A proxy that listens on every address is reached at loopback.
func TestEnvironOfAWildcardListener(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"0.0.0.0:3128": "http://127.0.0.1:3128", "[::]:3128": "http://[::1]:3128", "192.0.2.1:3128": "http://192.0.2.1:3128",
	} {
		h, _ := NewHandle(HandleConfig{Addr: netip.MustParseAddrPort(addr)})
		if env := h.Environ(nil); !slices.Contains(env, "HTTPS_PROXY="+want) {
			t.Errorf("%s: Environ = %q, want %s", addr, env, want)
		}
		if got := h.Addr(); got != addr {
			t.Errorf("Addr = %q, want %q", got, addr)
		}
	}
}

// A built-in proxy in front of one that intercepts passes on what clients must trust.
func TestEnvironOfABuiltInProxyWithACA(t *testing.T) {
	t.Parallel()
	h, err := BuiltIn{CABundle: "/ca.pem", JavaTrustStore: "/ca.p12"}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	env := strings.Join(h.Environ(nil), "\n")
	for _, want := range []string{"SSL_CERT_FILE=/ca.pem", "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/ca.p12 "} {
		if !strings.Contains(env, want) {
			t.Errorf("Environ =\n%s\nwant %q in it", env, want)
		}
	}
	if h.CABundle() != "/ca.pem" || h.JavaTrustStore() != "/ca.p12" {
		t.Errorf("CABundle, JavaTrustStore = %q, %q", h.CABundle(), h.JavaTrustStore())
	}
}
