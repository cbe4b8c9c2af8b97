// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCheckAgreesWithTheProxy asks both for every target, with the same
// options. Allowed names are pinned to addresses where nothing listens, so that a
// request the policy admits ends as a dial error without leaving the machine.
func TestCheckAgreesWithTheProxy(t *testing.T) {
	t.Parallel()
	policy := []string{
		"--allow", "a.com,*.b.com,**.c.com,d.com:8000-8100,e.com:*,127.0.0.0/8:1,127.77.0.0/16:*,[::1]:1,localhost:2,p.internal",
		"--deny", "x.b.com,y.c.com:443,127.0.0.9",
	}
	for _, name := range []string{"a.com", "q.b.com", "q.c.com", "r.q.c.com", "y.c.com", "d.com", "e.com", "a_b.c.com", "xn--bcher-kva.c.com"} {
		policy = append(policy, "--resolve", name+"=127.77.0.9")
	}
	policy = append(policy, "--resolve", "p.internal=10.0.0.1")
	targets := []string{
		"a.com:443", "a.com:80", "a.com:1", "A.COM.:443", "a.com..:443", "a.com:0443", "a.com:+443", "a.com:0", "a.com:65536", "a.com:", "a.com",
		"b.com:443", "q.b.com:1", "q.b.com:443", "r.q.b.com:443", "x.b.com:443", "c.com:443", "r.q.c.com:1", "y.c.com:443", "y.c.com:1",
		"d.com:1", "d.com:8000", "d.com:8101", "e.com:1", "z.com:443", "p.internal:443", "bücher.c.com:1", "xn--bcher-kva.c.com:1",
		"127.0.0.1:1", "127.0.0.9:1", "127.0.0.1:443", "127.1:1", "0x7f000001:1", "2130706433:1", "0177.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1",
		"[::1%25lo]:1", "::1:1", "169.254.169.254:80", "[64:ff9b::a9fe:a9fe]:80", "localhost:2", "localhost:1", "x.localhost:2", "*.b.com:443", "a_b.c.com:443", "-:443",
	}
	p := newProc(t, append(append([]string{"check", "--json"}, append(policy, "--")...), targets...)...).start()
	verdicts := bufio.NewScanner(strings.NewReader(p.finish(2)))
	proxy, ready := startProxy(t, policy...)
	for _, target := range targets {
		var v struct{ Target, Decision, Reason string }
		if !verdicts.Scan() || json.Unmarshal(verdicts.Bytes(), &v) != nil || v.Target != target {
			t.Fatalf("%s: got line %q", target, verdicts.Text())
		}
		status, reason := ask(t, ready.Addr, target)
		want := fmt.Sprint(http.StatusForbidden, " ", v.Reason)
		switch v.Reason {
		case "":
			want = "502 dial_error"
			if status == http.StatusOK { // somebody listens there after all
				want = "200 "
			}
		case "malformed_request":
			want = "400 malformed_request"
		}
		if got := fmt.Sprint(status, " ", reason); got != want {
			t.Errorf("%s: the proxy says %q, check says %s, for which %q is wanted", target, got, v.Decision, want)
		}
	}
	proxy.signal(syscall.SIGTERM)
	proxy.finish(0)
}

// ask sends a CONNECT for target and returns the status and the reason.
func ask(t *testing.T, addr, target string) (status int, reason string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: a.com\r\n\r\n", target)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	r.Body.Close()
	_, details, _ := strings.Cut(r.Header.Get("Proxy-Status"), `details="`)
	reason, _, _ = strings.Cut(details, `"`)
	return r.StatusCode, reason
}
