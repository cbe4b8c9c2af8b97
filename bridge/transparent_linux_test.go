// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// forEachCapture runs test for each kind of sandbox and each way to capture connections.
func forEachCapture(t *testing.T, test func(t *testing.T, s Sandbox)) {
	t.Helper()
	forEachMode(t, func(t *testing.T, m Mode) {
		for name, listen := range map[string]bool{"redirect": false, "listen": true} {
			t.Run(name, func(t *testing.T) { test(t, Sandbox{Mode: m, Transparent: true, listen: listen}) })
		}
	})
}

// transparentPolicy is the policy of most tests.
var transparentPolicy = []string{"allowed.test", "*.wild.test", "allowed.test:8080", "greets.test:22", "93.184.216.38:443"}

// TestSandboxTransparent: what programs connect to without asking the proxy arrives there,
// is judged like any request, and ends at once if it is refused.
func TestSandboxTransparent(t *testing.T) {
	t.Parallel()
	forEachCapture(t, func(t *testing.T, s Sandbox) {
		n := newInternet(t, transparentPolicy...)
		unnamed := "ECONNRESET" // a port that the policy does not name
		if s.listen {
			unnamed = "ECONNREFUSED"
		}
		steps := []struct{ step, want string }{
			{"http tcp4 allowed.test:80", "93.184.216.34:80"},
			{"http tcp6 allowed.test:443", "93.184.216.34:443"}, // the name counts, and the proxy's choice of its addresses
			{"http tcp allowed.test:8080", "93.184.216.34:8080"},
			{"http tcp a.wild.test:443", "93.184.216.35:443"},
			{"http tcp 93.184.216.38:443", "93.184.216.38:443"},
			{"read tcp greets.test:22", "SSH 93.184.216.37:22"},
			{"read tcp denied.test:443", "no such host"},
			{"read tcp a.b.wild.test:443", "no such host"},
			{"read tcp greets.test:443", "ECONNRESET"},          // a name for one port of several
			{"read tcp 93.184.216.36:443", "ECONNRESET"},        // not on the list
			{"read tcp [2606:2800:220:1::1]:443", "ECONNRESET"}, // nor as an address
			{"read tcp 198.18.200.200:443", "ECONNRESET"},       // nobody was told this one
			{"read tcp 169.254.169.254:80", "ECONNRESET"},
			{"read tcp allowed.test:8081", unnamed},
			{"read tcp6 allowed.test:5432", unnamed},
			{"read tcp 93.184.216.34:1", unnamed},
			{"read tcp 127.0.0.1:9", "ECONNREFUSED"},
			{"read udp allowed.test:443", "ECONNREFUSED"}, // QUIC falls back to TCP
			{"read udp6 allowed.test:443", "ECONNREFUSED"},
			{"read udp 93.184.216.34:123", "ECONNREFUSED"},
			{"read udp [2001:db8::1]:123", "ECONNREFUSED"},
			{"serve tcp4 127.0.0.1:3000", "served"},
			{"serve tcp6 [::1]:3000", "served"},
			{"serve tcp 0.0.0.0:3001", "served"},
		}
		args := []string{self, "helper", "visit"}
		for _, s := range steps {
			args = append(args, s.step)
		}
		got := strings.Split(n.run(t, s, args...), "\n")
		for i, s := range steps {
			if i >= len(got) || got[i] != s.want {
				t.Errorf("%s: %q, want %q", s.step, got[min(i, len(got)-1)], s.want)
			}
		}
	})
}

// TestSandboxTransparentOwnPorts: programs inside can listen on ports that the policy
// names, and reach each other there, where the kernel redirects what is captured.
func TestSandboxTransparentOwnPorts(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		n := newInternet(t, transparentPolicy...)
		s := Sandbox{Mode: m, Transparent: true, Port: 8080} // and the proxy, too
		if got := n.run(t, s, self, "helper", "visit", "serve tcp 127.0.0.2:8080", "serve tcp6 [::]:8080", "http tcp allowed.test:8080"); got != "served\nserved\n93.184.216.34:8080\n" {
			t.Errorf("on a captured port: %q", got)
		}
		s.listen = true
		cmd, err := s.Command(t.Context(), n.Handle, "echo", "ran")
		if err != nil {
			t.Fatal(err)
		}
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != ExitFailed || !strings.Contains(string(out), "choose another port") {
			t.Errorf("with listeners: status %d, %q, want %d and a remedy", cmd.ProcessState.ExitCode(), out, ExitFailed)
		}
	})
}

// TestSandboxTransparentQueries: any resolver that is asked is the proxy's name server, over
// UDP and TCP, IPv4 and IPv6, and the answer comes from where it was asked.
func TestSandboxTransparentQueries(t *testing.T) {
	t.Parallel()
	forEachCapture(t, func(t *testing.T, s Sandbox) {
		n := newInternet(t, transparentPolicy...)
		var args []string
		for _, server := range []string{"9.9.9.9", "127.0.0.53", "127.0.0.1", "10.96.0.10", "169.254.169.253", "[2620:fe::fe]", "[::1]"} {
			for _, network := range []string{"udp", "tcp"} {
				for _, name := range []string{"allowed.test", "denied.test"} {
					args = append(args, fmt.Sprintf("ask %s %s:53 %s", network, server, name))
				}
			}
		}
		got := n.run(t, s, append([]string{self, "helper", "visit"}, args...)...)
		if want := strings.Repeat("198.18.0.1\nRCodeNameError\n", len(args)/2); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", args, got, want)
		}
	})
}

// TestSandboxTransparentPorts: all ports can be captured, and more than there may
// be listeners.
func TestSandboxTransparentPorts(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		s := Sandbox{Mode: m, Transparent: true}
		for _, tc := range []struct{ allow, visit, want string }{
			{"allowed.test:*", "http tcp allowed.test:65535", "93.184.216.34:65535\n"},
			{"allowed.test:*", "http tcp6 allowed.test:1", "93.184.216.34:1\n"},
			{"allowed.test:*", "serve tcp 127.0.0.1:3000", "served\n"},
			{"allowed.test:*", "ask tcp 8.8.8.8:53 allowed.test", "198.18.0.1\n"},
			{"allowed.test:1000-2000", "http tcp allowed.test:2000", "93.184.216.34:2000\n"},
			{"allowed.test:1000-2000", "read tcp allowed.test:2001", "ECONNRESET\n"},
			{"10.0.0.0/8:5432", "http tcp 10.1.2.3:5432", "10.1.2.3:5432\n"},
		} {
			if got := newInternet(t, tc.allow).run(t, s, self, "helper", "visit", tc.visit); got != tc.want {
				t.Errorf("%s, %s: %q, want %q", tc.allow, tc.visit, got, tc.want)
			}
		}
		s.listen = true // as where there is no redirect
		cmd, err := s.Command(t.Context(), newInternet(t, "allowed.test:*").Handle, "echo", "ran")
		if err != nil {
			t.Fatal(err)
		}
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != ExitFailed || !strings.Contains(string(out), "at most 64 ports") {
			t.Errorf("with listeners only: status %d, %q, want %d and a remedy", cmd.ProcessState.ExitCode(), out, ExitFailed)
		}
	})
}

// TestSandboxTransparentLoopback: a policy that admits a port of the host's loopback has that
// port lead there, and no other.
func TestSandboxTransparentLoopback(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		n := newInternet(t, "127.0.0.1:5432", "allowed.test:3000-3100")
		got := n.run(t, Sandbox{Mode: m, Transparent: true, Port: 3128}, self, "helper", "visit",
			"http tcp 127.0.0.1:5432", "serve tcp 127.0.0.1:3000", "http tcp allowed.test:3000", "read tcp [::1]:5432")
		if want := "127.0.0.1:5432\nserved\n93.184.216.34:3000\nECONNREFUSED\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestSandboxTransparentNothing: with a policy that names no port there is a name server
// that knows no name, and nothing else.
func TestSandboxTransparentNothing(t *testing.T) {
	t.Parallel()
	forEachMode(t, func(t *testing.T, m Mode) {
		got := newInternet(t).run(t, Sandbox{Mode: m, Transparent: true}, self, "helper", "visit",
			"ask udp 9.9.9.9:53 allowed.test", "read tcp 93.184.216.34:443")
		if want := "RCodeNameError\nECONNRESET\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestSandboxTransparentUser: a bwrap that puts the command into a second user namespace,
// as it does for --dev, makes no difference.
func TestSandboxTransparentUser(t *testing.T) {
	t.Parallel()
	if _, err := Probe(t.Context(), Bwrap); err != nil {
		t.Skipf("not tested: %v", err)
	}
	n := newInternet(t, transparentPolicy...)
	s := Sandbox{Transparent: true, Port: 80, BwrapArgs: []string{"--ro-bind", "/", "/", "--dev", "/dev"}}
	if got := n.run(t, s, self, "helper", "visit", "http tcp allowed.test:443", "serve tcp 127.0.0.1:3000"); got != "93.184.216.34:443\nserved\n" {
		t.Errorf("got %q", got)
	}
}

// TestSandboxTransparentUnknownPolicy: where the ports are not known nothing is captured, and
// that is an error, not a sandbox that does half of what it should.
func TestSandboxTransparentUnknownPolicy(t *testing.T) {
	t.Parallel()
	h, _ := proxycore.NewHandle(proxycore.HandleConfig{Addr: netip.MustParseAddrPort("127.0.0.1:9")})
	defer h.Close()
	if _, err := (Sandbox{Transparent: true}).Command(t.Context(), h, "true"); err == nil || !strings.Contains(err.Error(), "needs a policy that is known here") {
		t.Errorf("Command: %v, want an error that says what is missing", err)
	}
}

// clients are programs that do their own name lookups and connections.
var clients = []struct{ name, want, script string }{
	{"curl", "93.184.216.34:80", `curl -sS --noproxy '*' http://allowed.test/`},
	{"curl", "93.184.216.34:80", `curl -6 -sS --noproxy '*' http://allowed.test/`},
	{"curl", "failed", `curl -s --noproxy '*' http://93.184.216.36/ || echo failed`},
	{"getent", "198.18.0.1", `getent ahosts allowed.test | grep -o '^198.18.0.1 ' | sort -u | tr -d ' '`},
	{"getent", "2", `getent hosts denied.test; echo $?`},
	{"python3", "198.18.0.1 fd73:616c:6c79::1", `python3 -c '
import socket
def first(family): return socket.getaddrinfo("allowed.test", 443, family, flags=socket.AI_ADDRCONFIG)[0][4][0]
print(first(socket.AF_INET), first(socket.AF_INET6))'`},
	{"dig", "198.18.0.1", `dig +short @192.0.2.1 allowed.test`},
	{"dig", "fd73:616c:6c79::1", `dig +short +tcp @2001:db8::53 allowed.test aaaa`},
	{"dig", "status: NXDOMAIN,", `dig @192.0.2.1 denied.test | grep -o 'status: [A-Z]*,'`},
}

// TestSandboxTransparentClients: real programs work. The helper does the same as
// those that are not there.
func TestSandboxTransparentClients(t *testing.T) {
	t.Parallel()
	var scripts, want []string
	for _, c := range clients {
		if _, err := exec.LookPath(c.name); err == nil {
			scripts, want = append(scripts, "("+c.script+") 2>/dev/null"), append(want, c.want)
		}
	}
	forEachMode(t, func(t *testing.T, m Mode) {
		n := newInternet(t, transparentPolicy...)
		got := strings.Split(n.run(t, Sandbox{Mode: m, Transparent: true}, "sh", "-c", strings.Join(scripts, "\n")), "\n")
		for i, s := range scripts {
			if i >= len(got) || got[i] != want[i] {
				t.Errorf("%s: %q, want %q", s, got[min(i, len(got)-1)], want[i])
			}
		}
	})
}

// TestSandboxTransparentRecords: captured connections are in the log like requests, and refused
// names, too; each with the name of its sandbox.
func TestSandboxTransparentRecords(t *testing.T) {
	t.Parallel()
	forEachCapture(t, func(t *testing.T, s Sandbox) {
		n := newInternet(t, transparentPolicy...)
		s.Name = "mine"
		n.run(t, s, self, "helper", "visit", "http tcp4 allowed.test:80", "ask udp 1.1.1.1:53 denied.test", "read tcp 10.0.0.1:443")
		var got []string
		for range 3 {
			r := <-n.records
			got = append(got, fmt.Sprintf("%s %s %s:%d %v", r.Sandbox, r.Method, r.Host, r.Port, r.Decision))
		}
		slices.Sort(got)
		want := []string{"mine DNS denied.test:0 deny", "mine TCP 10.0.0.1:443 deny", "mine TCP allowed.test:80 allow"}
		if !slices.Equal(got, want) {
			t.Errorf("records\n%q, want\n%q", got, want)
		}
	})
}

func TestWishCapture(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		allow                         []string
		capture, loopback4, loopback6 string
	}{
		{nil, "[]", "[]", "[]"},
		{[]string{"a.test"}, "[{80 80} {443 443}]", "[]", "[]"},
		{[]string{"a.test:*"}, "[{1 52} {54 65535}]", "[]", "[]"}, // port 53 is the name server's
		{[]string{"a.test:53"}, "[]", "[]", "[]"},
		{[]string{"a.test:53-54", "b.test:52-53"}, "[{52 52} {54 54}]", "[]", "[]"},
		{[]string{"a.test:8000-8002", "127.0.0.1:8001"}, "[{8000 8002}]", "[{8001 8001}]", "[]"},
		{[]string{"[::1]:8000-8001", "127.0.0.0/8:53"}, "[{8000 8001}]", "[]", "[{8000 8001}]"},
		{[]string{"localhost:8000", "127.0.0.1:8000"}, "[{8000 8000}]", "[{8000 8000}]", "[{8000 8000}]"},
	} {
		var w wish
		w.capture(mustFilter(t, tc.allow...))
		for _, is := range []struct {
			name, want string
			got        []proxycore.PortRange
		}{{"Capture", tc.capture, w.Capture}, {"Loopback4", tc.loopback4, w.Loopback4}, {"Loopback6", tc.loopback6, w.Loopback6}} {
			if got := fmt.Sprint(is.got); got != is.want {
				t.Errorf("%q: %s = %s, want %s", tc.allow, is.name, got, is.want)
			}
		}
	}
	var all []string
	for port := range 2 * maxRanges {
		all = append(all, fmt.Sprintf("a.test:%d", 1000+2*port))
	}
	var w wish
	w.capture(mustFilter(t, all...))
	if got := fmt.Sprint(w.Capture); got != "[{1 52} {54 65535}]" {
		t.Errorf("of %d ports %s is captured, want all", len(all), got)
	}
}
