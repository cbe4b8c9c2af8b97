// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// The hosts of an internet: public addresses, all of which answer on every port.
var publicHosts = map[string][]netip.Addr{
	"allowed.test":    {netip.MustParseAddr("93.184.216.34"), netip.MustParseAddr("2606:2800:220:1::1")},
	"a.wild.test":     {netip.MustParseAddr("93.184.216.35")},
	"denied.test":     {netip.MustParseAddr("93.184.216.36")},
	"greets.test":     {netip.MustParseAddr("93.184.216.37")},
	"second.test":     {netip.MustParseAddr("93.184.216.38")},
	"privileged.test": {netip.MustParseAddr("10.1.2.3")},
}

// internet is a proxy that reaches publicHosts, of which those on port 22 greet and
// all others speak HTTP. Each says at which address and port it was reached.
type internet struct {
	*proxycore.Handle
	records chan proxycore.Record
}

func newInternet(t testing.TB, allow ...string) *internet {
	t.Helper()
	n := &internet{records: make(chan proxycore.Record, 1000)}
	dial := func(_ context.Context, _, address string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if strings.HasSuffix(address, ":22") {
				fmt.Fprintf(theirs, "SSH %s\n", address)
				return
			}
			serveOne(theirs, address)
		}()
		return ours, nil
	}
	h, err := proxycore.BuiltIn{Port: -1, Config: proxycore.Config{
		Filter: mustFilter(t, allow...), Hosts: publicHosts, Dial: dial,
		Record: func(r proxycore.Record) error { n.records <- r; return nil },
	}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.Handle = h
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("Close of the handle: %v", err)
		}
	})
	return n
}

// serveOne answers one HTTP request on c, which was made to address.
func serveOne(c net.Conn, address string) {
	if b := make([]byte, 4096); readHead(c, b) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s\n", len(address)+1, address)
	}
}

// readHead reads the head of a request, which fits b.
func readHead(c net.Conn, b []byte) bool {
	for n := 0; n < len(b); {
		m, err := c.Read(b[n:])
		if n += m; strings.Contains(string(b[:n]), "\r\n\r\n") {
			return true
		}
		if err != nil {
			return false
		}
	}
	return false
}

func mustFilter(t testing.TB, allow ...string) *proxycore.Filter {
	t.Helper()
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs argv in a sandbox and returns what it prints.
func (n *internet) run(t *testing.T, s Sandbox, argv ...string) string {
	t.Helper()
	cmd, err := s.Command(t.Context(), n.Handle, argv[0], argv[1:]...)
	if err != nil {
		t.Fatalf("Command(%q): %v", argv, err)
	}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%q: %v: %s", argv, err, out)
	}
	return string(out)
}
