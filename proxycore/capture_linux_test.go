// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// A program for which every address is local, whatever it asks and connects to.
func TestCaptureOfANamespace(t *testing.T) {
	t.Parallel()
	i := startInside(t)
	w := newWorld(t, []string{"github.com:22", "203.0.113.7", "[2606:4700::1]", "*.private.com"}, nil)
	detach, err := w.h.Capture(i.sockets, Listening{Name: "inside"})
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{
		"8.8.8.8:53", "127.0.0.1:53", "10.0.0.2:53", "[2001:4860:4860::8888]:53", "[::1]:53", "[fd00::53]:53",
		"9.9.9.9:5300", "127.0.0.53:5300",
	} {
		for typ, want := range map[dnsmessage.Type]string{
			dnsmessage.TypeA: "Success A 198.18.0.1", dnsmessage.TypeAAAA: "Success AAAA fd73:616c:6c79::1",
		} {
			if got := i.lookUp(server, "github.com.", typ); got != want {
				t.Errorf("%s told %s, want %s", server, got, want)
			}
		}
	}
	if got := i.lookUp("1.1.1.1:53", "evil.com.", dnsmessage.TypeA); got != "NameError SOA" {
		t.Errorf("evil.com: %s", got)
	}
	if r := w.record(); r.Sandbox != "inside" || r.Method != MethodDNS || r.Host != "evil.com" || !strings.HasPrefix(r.Client, "1.1.1.1:") {
		t.Errorf("record = %+v", r) // the client's address is the one it asked: all are its own
	}
	go greet(w.origin)
	for to, host := range map[string]string{
		"198.18.0.1:22": "github.com", "[fd73:616c:6c79::1]:22": "github.com", "203.0.113.7:443": "203.0.113.7", "[2606:4700::1]:443": "2606:4700::1",
	} {
		if got := i.do("connect %s", to); got != "read hello" {
			t.Errorf("connect %s: %s, want the origin's greeting", to, got)
		}
		if r := w.record(); r.Method != MethodTCP || r.Host != host || r.Decision != DecisionAllow {
			t.Errorf("connect %s: record = %+v, want host %s", to, r, host)
		}
	}
	for to, reason := range map[string]Reason{
		"198.18.0.1:443": PortNotAllowed, "198.18.0.2:22": AddressNotAllowed, "169.254.169.254:443": AddressNotAllowed,
		"[2606:4700::2]:443": AddressNotAllowed, "127.0.0.1:443": AddressNotAllowed, "[::1]:22": AddressNotAllowed,
	} {
		if got := i.do("connect %s", to); !strings.HasSuffix(got, "connection reset by peer") {
			t.Errorf("connect %s: %s, want a reset", to, got)
		}
		if r := w.record(); r.Method != MethodTCP || r.Reason != reason {
			t.Errorf("connect %s: record = %+v, want %s", to, r, reason)
		}
	}
	w.noRecord()
	within(t, promptly, "detach", detach)
	if got := i.do("connect %s", "203.0.113.7:443"); !strings.HasSuffix(got, "connection refused") {
		t.Errorf("connect after detach: %s", got)
	}
}

// The sandbox's listeners are not this host's, though they have all addresses.
func TestCapturedPortsAreNotTheHosts(t *testing.T) {
	t.Parallel()
	i := startInside(t)
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.local.addrs = map[netip.Addr]bool{public: true} // as if an interface had it
	if _, err := s.capture(i.sockets, Listening{}); err != nil {
		t.Fatal(err)
	}
	f := allowing(t, public.String())
	if d := s.checkLocal(f, Target{Addr: public, Port: 443}, []netip.Addr{public}); !d.Allowed {
		t.Errorf("the host's own port 443 is refused: %+v", d)
	}
}

// lookUp has the program ask a server and gives what matters of the reply.
func (i *inside) lookUp(server, name string, typ dnsmessage.Type) string {
	i.t.Helper()
	got := i.do("query %s %x", server, ask(i.t, name, typ, nil))
	b, err := hex.DecodeString(got)
	if err != nil {
		return got
	}
	return summary(i.t, b)
}

// greet says hello to everybody who connects, and no more.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.WriteString(c, "hello")
		c.Close()
	}
}

// udp gives a UDP socket of this namespace, and its address.
func udp(t testing.TB) (*net.UDPConn, string) {
	t.Helper()
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u, u.LocalAddr().String()
}

func TestQueriesOverUDP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	u, addr := udp(t)
	if _, err := w.h.Capture(Capture{Queries: []*net.UDPConn{u}}, Listening{}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// What is no query has no answer, and does not stop the next.
	c.Write(nil)
	c.Write([]byte("junk"))
	c.Write(make([]byte, maxQuery+1))
	c.Write(ask(t, "github.com.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Response = true }))
	c.Write(ask(t, "github.com.", dnsmessage.TypeA, withEDNS(1232, 0, ".")))
	reply := make([]byte, 2000)
	n, err := c.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	if got := summary(t, reply[:n]); got != "Success A 198.18.0.1 OPT(0)" {
		t.Errorf("the reply is %s", got)
	}
	within(t, promptly, "Close", func() { w.h.Close() })
	w.noRecord()
}

// A sandbox that has kept a copy of its sockets and makes them blocking, so that
// whoever waits on them waits in the kernel, does not hold up their end.
func TestDetachOfSocketsMadeBlocking(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, detach func()){
		"detach":   func(_ *world, detach func()) { detach() },
		"Close":    func(w *world, _ func()) { w.h.Close() },
		"Shutdown": func(w *world, _ func()) { w.h.Shutdown(gone()) },
	} {
		w := newWorld(t, []string{"203.0.113.7"}, nil)
		u, _ := udp(t)
		s := &sandbox{world: w, proxy: listen(t), connections: listen(t), streams: listen(t)}
		c := s.sockets()
		c.Queries = []*net.UDPConn{u}
		for _, socket := range []any{s.proxy, s.connections, s.streams, u} {
			f, err := socket.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := unix.SetNonblock(int(f.Fd()), false); err != nil {
				t.Fatal(err)
			}
		}
		detach, err := w.h.Capture(c, Listening{})
		if err != nil {
			t.Fatal(err)
		}
		tunnel, _ := s.captured("203.0.113.7:443") // the accept loops are at work
		within(t, promptly, name, func() { end(w, detach) })
		expectEOF(t, tunnel.r)
	}
}

// BenchmarkQuery is a query over UDP, there and back.
func BenchmarkQuery(b *testing.B) {
	h, err := BuiltIn{Port: -1, Config: Config{Filter: allowing(b, DefaultDevAllowlist()...)}}.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	u, addr := udp(b)
	if _, err := h.Capture(Capture{Queries: []*net.UDPConn{u}}, Listening{}); err != nil {
		b.Fatal(err)
	}
	c, err := net.Dial("udp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	msg, reply := ask(b, "github.com.", dnsmessage.TypeA, nil), make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(msg)
		if _, err := c.Read(reply); err != nil {
			b.Fatal(err)
		}
	}
}
