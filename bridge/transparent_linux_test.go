// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// echoProxy is a backend that greets every captured connection with where it was going.
func echoProxy(t *testing.T) *proxycore.Handle {
	t.Helper()
	h, _ := proxycore.NewHandle(proxycore.HandleConfig{Capture: func(c proxycore.Capture, _ proxycore.Listening) (func(), error) {
		for _, l := range c.Connections {
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					to := conn.LocalAddr().(*net.TCPAddr).AddrPort()
					if c.Original != nil {
						if to, err = c.Original(conn); err != nil {
							to = netip.AddrPort{}
						}
					}
					_, _ = io.WriteString(conn, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()).String()+" "+conn.RemoteAddr().(*net.TCPAddr).IP.String()+"\n")
					conn.Close()
				}
			}()
		}
		return func() { c.Close() }, nil
	}})
	t.Cleanup(func() { h.Close() })
	return h
}

func mustFilter(t *testing.T, allow ...string) *proxycore.Filter {
	t.Helper()
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSandboxTransparentAddresses(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		for _, allow := range []string{"a.test", "a.test:1-5000", "a.test:*"} {
			cmd, err := Sandbox{Mode: m, Transparent: true, Filter: mustFilter(t, allow)}.Command(t.Context(), echoProxy(t),
				"sh", "-c", `python3 -c '
import socket
for a in ("93.184.216.34","2001:db8::1","127.0.0.1","::1"):
  for p in (443,8443):
    try:
        s=socket.create_connection((a,p),5); print(s.recv(100).decode().strip())
    except OSError as e: print(a,p,e)
'
ip a; ip route show table local; ip -6 route show table local; 
`)
			if err != nil {
				t.Fatal(err)
			}
			cmd.Dir = "/"
			out, err := cmd.CombinedOutput()
			t.Logf("%s: %v\n%s", allow, err, out)
		}
	})
}
