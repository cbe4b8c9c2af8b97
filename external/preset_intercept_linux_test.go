// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// site is an origin that speaks TLS, and the port and PEM file by which it is known.
// Its certificate is for example.com.
func site(t *testing.T) (port, roots string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Host, r.URL) }))
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	roots = filepath.Join(t.TempDir(), "roots.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(roots, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return port, roots
}

// tunnel is an open tunnel.
func tunnel(t *testing.T, h *proxycore.Handle, target string) net.Conn {
	t.Helper()
	resp, _, c := ask(t, h, connectHead(target, "", ""))
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("CONNECT %s = %d; want 200", target, resp.StatusCode)
	}
	return c
}

// get asks for / with a Host field within c, and returns the status or what went wrong.
func get(c io.ReadWriter, host string) (int, string, error) {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return 0, "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// trusting is the configuration of a client that trusts h's authority and nobody else.
func trusting(t *testing.T, h *proxycore.Handle, sni string) *tls.Config {
	t.Helper()
	raw, err := os.ReadFile(h.CABundle())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		t.Fatalf("%s has no certificate", h.CABundle())
	}
	return &tls.Config{RootCAs: pool, ServerName: sni}
}

func TestMitmdumpIntercepts(t *testing.T) {
	t.Parallel()
	port, roots := site(t)
	raw := banner(t)
	log := filepath.Join(t.TempDir(), "flows %d")
	spec := presetSpec(t, "mitmdump", Policy{
		Allow: []string{"example.com:" + port, "example.com:" + raw, "127.0.0.1:*"}, Roots: roots, FlowLog: log, CADir: filepath.Join(t.TempDir(), "ca"),
	})
	spec = withHosts(t, "mitmdump", spec, map[string][]string{"example.com": {"127.0.0.1"}})
	h := start(t, spec)

	c := tls.Client(tunnel(t, h, "example.com:"+port), trusting(t, h, "example.com"))
	if status, body, err := get(c, "example.com:"+port); status != 200 || body != "example.com:"+port+" /" {
		t.Errorf("a request through the proxy: %d %q %v", status, body, err)
	}
	if issuer := c.ConnectionState().PeerCertificates[0].Issuer.String(); !strings.Contains(issuer, "mitmproxy") {
		t.Errorf("the certificate is %s's, so nothing was intercepted", issuer)
	}
	if status, _, err := get(c, "evil.test:"+port); status != http.StatusMisdirectedRequest {
		t.Errorf("a request for another host in the tunnel: %d %v; want 421", status, err)
	}
	other := trusting(t, h, "evil.test")
	other.InsecureSkipVerify = true
	if err := tls.Client(tunnel(t, h, "example.com:"+port), other).Handshake(); err == nil {
		t.Error("TLS for another host in the tunnel: the handshake succeeds")
	}
	for _, text := range []string{"\x00\x01\x02raw", "SSH-2.0-x\r\n", "\x16\x03\x01\x00\x04\x01\x00\x00\x00"} {
		c := tunnel(t, h, "example.com:"+port)
		_, _ = io.WriteString(c, text)
		if data, _ := io.ReadAll(c); strings.Contains(string(data), "400 Bad") {
			t.Errorf("%q reached the origin", text)
		}
	}
	if data, err := io.ReadAll(tunnel(t, h, "example.com:"+raw)); len(data) > 0 {
		t.Errorf("a server that speaks first: read %q, %v; want nothing", data, err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if flows, err := os.ReadFile(log); err != nil || !strings.Contains(string(flows), "example.com") {
		t.Errorf("the flow log has %d bytes, %v", len(flows), err)
	}
}

// The authority in CADir is that of every start; without one each start has its own.
func TestMitmdumpAuthority(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	bundle := func(policy Policy) string {
		h := start(t, presetSpec(t, "mitmdump", policy))
		defer h.Close()
		raw, err := os.ReadFile(h.CABundle())
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first, second := bundle(Policy{CADir: dir}), bundle(Policy{CADir: dir})
	if first != second {
		t.Error("the authority of CADir has changed")
	}
	if third := bundle(Policy{}); third == first {
		t.Error("without CADir there is the same authority")
	}
	key := filepath.Join(dir, mitmdumpCAKey)
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", key, info, err)
	}
	mitmdump, _ := LookupPreset("mitmdump")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := mitmdump.Spec(Policy{CADir: dir}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

// What is neither TLS nor HTTP passes on request; an unread tunnel carries the origin's own certificate.
func TestMitmdumpInterception(t *testing.T) {
	t.Parallel()
	port, roots := site(t)
	raw := banner(t)
	policy := Policy{Allow: []string{"127.0.0.1:*"}, Roots: roots, Intercept: InterceptKnown}
	h := start(t, presetSpec(t, "mitmdump", policy))
	carry(t, h, "127.0.0.1:"+raw, "", "")
	c := tls.Client(tunnel(t, h, "127.0.0.1:"+port), trusting(t, h, "127.0.0.1"))
	if status, _, err := get(c, "127.0.0.1:"+port); status != 200 {
		t.Errorf("a request through the proxy: %d, %v", status, err)
	}
	policy.Intercept = InterceptNothing
	h = start(t, presetSpec(t, "mitmdump", policy))
	if h.CABundle() != "" {
		t.Errorf("CABundle = %q where nothing is intercepted", h.CABundle())
	}
	c = tls.Client(tunnel(t, h, "127.0.0.1:"+port), &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil || strings.Contains(c.ConnectionState().PeerCertificates[0].Issuer.String(), "mitmproxy") {
		t.Errorf("an unread tunnel: %v; want the origin's own certificate", err)
	}
}

// Behind a filter that asks for addresses there is no name to compare a request in the clear with.
func TestMitmdumpInTheClearBehindAFilter(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	spec := presetSpec(t, "mitmdump", Policy{Unfiltered: true})
	h := start(t, spec)
	user, password := spec.Credentials()
	for _, tt := range []struct {
		host   string
		status int
	}{{"example.com:" + port, 200}, {l.Addr().String(), 200}, {"127.0.0.2:" + port, 421}, {"example.com:1", 421}} {
		resp, _, c := ask(t, h, connectHead(l.Addr().String(), user, password))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("CONNECT = %d; want 200", resp.StatusCode)
		}
		if status, body, err := get(c, tt.host); status != tt.status || status == 200 && body != tt.host {
			t.Errorf("Host: %s: %d %q %v; want %d", tt.host, status, body, err, tt.status)
		}
	}
}
