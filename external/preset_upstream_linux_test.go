// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"testing"
)

// upstreamProxy is a proxy that answers as the origin would. It returns its
// host:port and what it was asked for.
func upstreamProxy(t *testing.T) (addr string, asked <-chan *http.Request) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests := make(chan *http.Request, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				requests <- req
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello\n")
			}
			c.Close()
		}
	}()
	return l.Addr().String(), requests
}

// Everything goes through the upstream, with its credentials and without ours.
func TestPresetUpstream(t *testing.T) {
	t.Parallel()
	const user, password = "user", "pa.ss+1~"
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up, asked := upstreamProxy(t)
			policy := Policy{Unfiltered: true, Upstream: "http://" + user + ":" + password + "@" + up, Intercept: InterceptNothing}
			want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
			if name == "privoxy" {
				policy.Upstream, want = "http://"+up, ""
			}
			spec := presetSpec(t, name, policy)
			own, ownPassword := spec.Credentials()
			h := start(t, spec)
			targets := []string{"name.invalid:443", "127.0.0.1:22", "[2001:db8::1]:443"}
			if name == "tinyproxy" {
				targets = targets[:2] // it leaves out the brackets
			}
			for _, target := range targets {
				c := dial(t, h)
				if _, err := io.WriteString(c, connectHead(target, own, ownPassword)+"x"); err != nil {
					t.Fatal(err)
				}
				// mitmdump asks the upstream only when something comes through the tunnel.
				r := bufio.NewReader(c)
				if resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect}); err != nil || resp.StatusCode != 200 {
					t.Errorf("CONNECT %s: %v, %v; want 200", target, resp, err)
					continue
				}
				req := <-asked
				if got := req.Header.Get("Proxy-Authorization"); req.Method != http.MethodConnect || req.RequestURI != target || got != want {
					t.Errorf("the upstream was asked to %s %s with %q; want CONNECT %s with %q", req.Method, req.RequestURI, got, target, want)
				}
			}
		})
	}
}

// With a policy of its own, mitmdump judges addresses and sends the judged one on.
func TestMitmdumpUpstreamPins(t *testing.T) {
	t.Parallel()
	up, asked := upstreamProxy(t)
	policy := Policy{Allow: []string{"good.test", "bad.test", "nowhere.test"}, Upstream: "http://" + up, Intercept: InterceptNothing}
	spec := withHosts(t, "mitmdump", presetSpec(t, "mitmdump", policy), map[string][]string{"good.test": {"8.8.8.8"}, "bad.test": {"10.0.0.1"}})
	h := start(t, spec)
	refuses(t, h, "bad.test:443", 403)
	refuses(t, h, "nowhere.test:443", 502)
	c := dial(t, h)
	_, _ = io.WriteString(c, connectHead("good.test:443", "", "")+"x")
	if req := <-asked; req.RequestURI != "8.8.8.8:443" {
		t.Errorf("the upstream was asked for %s; want the judged address", req.RequestURI)
	}
	// Where the upstream guards addresses, it gets the name.
	policy.GuardElsewhere = true
	h = start(t, presetSpec(t, "mitmdump", policy))
	c = dial(t, h)
	_, _ = io.WriteString(c, connectHead("good.test:443", "", "")+"x")
	if req := <-asked; req.RequestURI != "good.test:443" {
		t.Errorf("the upstream was asked for %s; want the name", req.RequestURI)
	}
	refuses(t, h, "other.test:443", 403)
}

// An upstream that is down is never gone around.
func TestPresetUpstreamDown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"privoxy", "squid", "tinyproxy"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			down, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			down.Close()
			port := banner(t)
			h := start(t, presetSpec(t, name, Policy{Allow: []string{"127.0.0.1:" + port}, Upstream: "http://" + down.Addr().String()}))
			if resp, _, _ := ask(t, h, connectHead("127.0.0.1:"+port, "", "")); resp.StatusCode/100 == 2 {
				t.Errorf("CONNECT = %d although the upstream is down", resp.StatusCode)
			}
		})
	}
}
