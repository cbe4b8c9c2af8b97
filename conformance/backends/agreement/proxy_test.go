// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agreement

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// long is a time limit that no healthy request reaches.
const long = 30 * time.Second

// live is the built-in proxy with a policy, entered by TCP and by a Unix socket. Its names are pinned
// and what it dials is not there: only its decisions matter.
type live struct {
	entries map[string]net.Addr
	records chan proxycore.Record
}

func startLive(t *testing.T, p vectors.Policy) *live {
	t.Helper()
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: p.Allow, Deny: p.Deny})
	if err != nil {
		t.Fatal(err)
	}
	l := &live{records: make(chan proxycore.Record, 1)}
	h, err := proxycore.BuiltIn{Config: proxycore.Config{
		Filter:   filter,
		Hosts:    pins(),
		Resolver: nobody{},
		Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			far.Close()
			return near, nil
		},
		Record: func(r proxycore.Record) error { l.records <- r; return nil },
	}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err = bridge.Socket{Path: filepath.Join(t.TempDir(), "s")}.Start(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	l.entries = map[string]net.Addr{
		"tcp":  net.TCPAddrFromAddrPort(netip.MustParseAddrPort(h.Addr())),
		"unix": &net.UnixAddr{Net: "unix", Name: h.SocketPath()},
	}
	return l
}

// nobody knows no name: those that have addresses are pinned.
type nobody struct{}

func (nobody) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// pins gives the world's names their addresses, as --resolve gives them to the command.
func pins() map[string][]netip.Addr {
	all := make(map[string][]netip.Addr)
	for _, n := range vectors.Names() {
		if _, err := proxycore.ParseTarget(n.Host + ":443"); err != nil {
			continue // never resolved, and so never pinned
		}
		for _, a := range n.Addrs {
			all[n.Host] = append(all[n.Host], netip.MustParseAddr(a))
		}
	}
	return all
}

// answer is what one request came to.
type answer struct {
	status int
	record proxycore.Record
}

// ask sends head by one entry and returns what the client and the log were told.
func (l *live) ask(t *testing.T, entry, head string) answer {
	t.Helper()
	addr := l.entries[entry]
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(long))
	// A head that is too large is refused before it is read whole.
	if _, err := io.WriteString(c, head); err != nil && len(head) < 8<<10 {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatalf("no answer to %.100q: %v", head, err)
	}
	resp.Body.Close()
	c.Close()
	select {
	case r := <-l.records:
		return answer{resp.StatusCode, r}
	case <-time.After(long):
		t.Fatalf("no record of %.100q", head)
	}
	panic("unreachable")
}

// afterPolicy reports whether r is the fate of a request that the policy admitted.
func afterPolicy(r proxycore.Record) bool {
	switch r.Reason {
	case "", proxycore.DNSError, proxycore.DialError, proxycore.DialTimeout, proxycore.PolicyClosed:
		return true
	}
	return false
}
