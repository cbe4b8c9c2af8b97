// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// controlPair returns the two ends of a control socket, the host's first.
func controlPair(t *testing.T) (*net.UnixConn, int) {
	t.Helper()
	ours, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(ours), "control")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); unix.Close(theirs) })
	return c.(*net.UnixConn), theirs
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// passed is a message from inside and what comes along.
type passed struct {
	message
	fds []int
}

// announced is what a well-behaved process inside passes.
func announced(all ...entrance) passed {
	p := passed{message: message{Entrances: all}}
	for _, e := range all {
		p.fds = append(p.fds, e.fd)
	}
	return p
}

// must opens the socket that e describes.
func must(e entrance) entrance {
	e, err := openEntrance(e)
	if err != nil {
		panic(err)
	}
	return e
}

// odd opens a socket that is bound, and listens, as its arguments say.
func odd(family, typ int, sa unix.Sockaddr, listen bool) int {
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
	if err == nil && sa != nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil && listen {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		panic(err)
	}
	return fd
}

var (
	port443   = []proxycore.PortRange{{First: 443, Last: 443}}
	many      = []proxycore.PortRange{{First: 1000, Last: 2000}}
	capturing = wish{Transparent: true, Capture: port443}
)

// A peer is what may be at the other end of a control socket. One of no wish asks for
// the proxy only; one of no error is served.
type peer struct {
	name, want string
	wish       wish
	open       func() []passed // in a network namespace of its own
}

// proxyAt is the entrance of kind proxy, whatever fd is.
func proxyAt(fd int) []passed {
	return []passed{announced(entrance{Kind: entranceProxy, Port: 3128, fd: fd})}
}

// thenProxy is what is in all, and the proxy's entrance.
func thenProxy(all ...entrance) []passed {
	return []passed{announced(append([]entrance{must(entrance{Kind: entranceProxy})}, all...)...)}
}

var local3128 = &unix.SockaddrInet4{Port: 3128, Addr: [4]byte{127, 0, 0, 1}}

// peers are all the peers by what they pass.
func peers() []peer {
	other := func(kind string) entrance { return entrance{Kind: kind, IPv6: true, Port: 443} }
	wrong := func(e entrance, fd int) entrance { e.fd = fd; return e }
	return []peer{
		{"proxy", "", wish{}, func() []passed { return thenProxy() }},
		{"all", "", capturing, func() []passed {
			return thenProxy(must(other(entranceTCP)), must(entrance{Kind: entranceDNSUDP, IPv6: true, Port: 53}),
				must(entrance{Kind: entranceDNSTCP, IPv6: true, Port: 53}))
		}},
		{"redirects", "", wish{Transparent: true, Capture: many}, func() []passed {
			return thenProxy(must(entrance{Kind: entranceRedirect}), must(entrance{Kind: entranceRedirect, IPv6: true}))
		}},
		{"in parts", "", capturing, func() []passed {
			first := announced(must(other(entranceTCP)))
			first.More = true
			return append([]passed{first}, thenProxy()...)
		}},
		{"nothing", "passed 0 descriptors for 0 sockets", wish{}, func() []passed { return []passed{{}} }},
		{"nothing to it", "passed 0 descriptors for 1 sockets", wish{}, func() []passed {
			p := thenProxy()
			p[0].fds = nil
			return p
		}},
		{"one too many", "passed 2 descriptors for 1 sockets", wish{}, func() []passed {
			p := thenProxy()
			p[0].fds = append(p[0].fds, must(entrance{Kind: entranceProxy}).fd)
			return p
		}},
		{"two proxies", "was passed before", wish{}, func() []passed { return thenProxy(must(entrance{Kind: entranceProxy})) }},
		{"no proxy", "no listener for the proxy", capturing, func() []passed { return []passed{announced(must(other(entranceTCP)))} }},
		{"no end", "EOF", capturing, func() []passed {
			p := thenProxy()
			p[0].More = true
			return p
		}},
		{"other address", "another address or port", wish{}, func() []passed {
			return proxyAt(odd(unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Port: 3128}, true))
		}},
		{"other port", "another address or port", wish{}, func() []passed {
			return proxyAt(odd(unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Port: 3129, Addr: [4]byte{127, 0, 0, 1}}, true))
		}},
		{"other port than asked", "nobody asked for", wish{Port: 8080}, func() []passed { return thenProxy() }},
		{"not listening", "does not listen", wish{}, func() []passed { return proxyAt(odd(unix.AF_INET, unix.SOCK_STREAM, local3128, false)) }},
		{"datagrams", "another kind", wish{}, func() []passed { return proxyAt(odd(unix.AF_INET, unix.SOCK_DGRAM, local3128, false)) }},
		{"Unix socket", "another kind", wish{}, func() []passed {
			return proxyAt(odd(unix.AF_UNIX, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: "@sallyport-test-peer"}, true))
		}},
		{"file", "another kind", wish{}, func() []passed {
			fd, _ := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return proxyAt(fd)
		}},
		{"IPv6 for IPv4", "another kind", capturing, func() []passed {
			return thenProxy(wrong(entrance{Kind: entranceTCP, Port: 443}, must(other(entranceTCP)).fd))
		}},
		{"transparent unasked", "nobody asked for", wish{Capture: port443}, func() []passed { return thenProxy(must(other(entranceTCP))) }},
		{"name server unasked", "nobody asked for", wish{}, func() []passed { return thenProxy(must(entrance{Kind: entranceDNSUDP, Port: 53})) }},
		{"redirect unasked", "nobody asked for", wish{Transparent: true}, func() []passed { return thenProxy(must(entrance{Kind: entranceRedirect})) }},
		{"port unasked", "nobody asked for", capturing, func() []passed {
			return thenProxy(must(entrance{Kind: entranceTCP, IPv6: true, Port: 444}))
		}},
		{"other name server", "nobody asked for", capturing, func() []passed { return thenProxy(must(entrance{Kind: entranceDNSUDP, Port: 54})) }},
		{"unknown kind", `"telnet", port 443, that nobody asked for`, capturing, func() []passed {
			return thenProxy(wrong(other("telnet"), must(other(entranceTCP)).fd))
		}},
		{"same port twice", "was passed before", capturing, func() []passed {
			e := must(other(entranceTCP))
			return thenProxy(e, e)
		}},
		{"two ways", "another way", capturing, func() []passed { return thenProxy(must(other(entranceTCP)), must(entrance{Kind: entranceRedirect})) }},
		{"connected name server", "another address or port", capturing, func() []passed {
			e := must(entrance{Kind: entranceDNSUDP, Port: 53})
			if err := unix.Connect(e.fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				panic(err)
			}
			return thenProxy(e)
		}},
		{"crowd", fmt.Sprintf("more than %d", maxEntrances), wish{Transparent: true, Capture: many}, func() (all []passed) {
			for i := range 4 {
				var batch []entrance
				for port := range 32 {
					batch = append(batch, must(entrance{Kind: entranceTCP, Port: uint16(1000 + 32*i + port)}))
				}
				p := announced(batch...)
				p.More = true
				all = append(all, p)
			}
			return all
		}},
		{"too many at once", "cut short", wish{Transparent: true, Capture: many}, func() []passed {
			var batch []entrance
			for port := range maxPassed + 1 {
				batch = append(batch, must(entrance{Kind: entranceTCP, Port: uint16(1000 + port)}))
			}
			return []passed{announced(batch...)}
		}},
	}
}

// actPeer is the process of a peer.
func actPeer(name string) error {
	if _, err := loopback(true); err != nil {
		return err
	}
	for _, p := range peers() {
		if p.name != name {
			continue
		}
		for _, m := range p.open() {
			if err := sendFDs(fdControl, m.message, m.fds...); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("no such peer")
}

// TestEntrancesPeers: the host serves a foreign network namespace the entrances it asked
// for and nothing else, and keeps nothing of what it refuses, as TestMain checks.
func TestEntrancesPeers(t *testing.T) {
	t.Parallel()
	if _, err := Probe(t.Context(), UserNS); err != nil {
		t.Skipf("not tested: %v", err)
	}
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := controlPair(t)
			f := os.NewFile(uintptr(dup(t, theirs)), "control")
			defer f.Close()
			cmd := exec.CommandContext(t.Context(), self, "helper", "peer", p.name)
			cmd.ExtraFiles = []*os.File{f}
			sys, err := ownNamespaces()
			if err != nil {
				t.Fatal(err)
			}
			cmd.SysProcAttr = sys
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("the peer: %v: %s", err, out)
			}
			f.Close()
			if err := unix.Shutdown(theirs, unix.SHUT_WR); err != nil { // which is the peer's end
				t.Fatal(err)
			}
			detach, err := serveEntrances(ours, p.wish, newInternet(t).Handle, proxycore.Listening{})
			if err == nil {
				detach()
			}
			if p.want == "" && err != nil || p.want != "" && (err == nil || !strings.Contains(err.Error(), p.want)) {
				t.Errorf("serveEntrances: %v, want an error with %q", err, p.want)
			}
		})
	}
}

// TestEntrancesAgain: a namespace that outlives its sandbox leads to the next one.
func TestEntrancesAgain(t *testing.T) {
	t.Parallel()
	if _, err := Probe(t.Context(), UserNS); err != nil {
		t.Skipf("not tested: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), self, "helper", "again")
	sys, err := ownNamespaces()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = sys
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "connected\nconnected\nconnected\n" {
		t.Errorf("%v: %q, want three connections", err, out)
	}
}

// TestEntrancesOwn: what listens in the host's own network namespace is refused.
func TestEntrancesOwn(t *testing.T) {
	t.Parallel()
	for _, e := range []entrance{{Kind: entranceProxy}, {Kind: entranceTCP, Port: 0}} {
		e := must(e)
		ours, theirs := controlPair(t)
		all := []proxycore.PortRange{{First: 1, Last: 65535}}
		if err := passEntrances(theirs, []entrance{e}); err != nil {
			t.Fatal(err)
		}
		const want = "host's own network namespace"
		_, err := serveEntrances(ours, wish{Transparent: true, Capture: all}, newWorld(t).Handle, proxycore.Listening{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: serveEntrances: %v, want an error with %q", e.Kind, err, want)
		}
	}
}

// TestEntrancesPassed: as many entrances as there may be arrive, in order, and no message
// has more descriptors than its receiver takes.
func TestEntrancesPassed(t *testing.T) {
	t.Parallel()
	ours, theirs := controlPair(t)
	var sent []entrance
	for range maxEntrances {
		sent = append(sent, must(entrance{Kind: entranceTCP}))
	}
	if err := passEntrances(theirs, sent); err != nil {
		t.Fatal(err)
	}
	n := 0
	for more := true; more; {
		m, fds, err := receiveFDs(ours)
		if err != nil || len(fds) != len(m.Entrances) || len(fds) > maxPassed {
			t.Fatalf("message with %d descriptors for %d entrances: %v", len(fds), len(m.Entrances), err)
		}
		for i, e := range m.Entrances {
			sa, _ := unix.Getsockname(fds[i])
			if got, _ := sa.(*unix.SockaddrInet4); got == nil || got.Port != int(sent[n].Port) || e.Port != sent[n].Port {
				t.Errorf("entrance %d is announced as port %d and is %v, want port %d", n, e.Port, got, sent[n].Port)
			}
			n++
		}
		closeAll(fds)
		more = m.More
	}
	if n != len(sent) {
		t.Errorf("%d entrances arrived of %d", n, len(sent))
	}
}

// TestControlMessages: messages that are cut short, garbled or over are errors, and a message
// that would be cut short is not sent.
func TestControlMessages(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"garbled": "{", "long": `{"Error":"` + strings.Repeat("x", maxMessage) + `"}`, "wrong type": `{"Entrances":3}`,
		"port of 17 bits": `{"Entrances":[{"Kind":"proxy","Port":65536}]}`,
	} {
		ours, theirs := controlPair(t)
		if _, err := unix.Write(theirs, []byte(raw)); err != nil {
			t.Fatal(err)
		}
		if m, fds, err := receiveFDs(ours); err == nil {
			t.Errorf("%s: received %v with %d descriptors, want an error", name, m, len(fds))
		}
	}
	ours, theirs := controlPair(t)
	if err := sendFDs(theirs, message{Error: strings.Repeat("x", maxMessage)}); err == nil {
		t.Error("a message over the limit was sent from inside")
	}
	if err := send(ours, message{Error: strings.Repeat("x", maxMessage)}); err == nil {
		t.Error("a message over the limit was sent from outside")
	}
	if err := unix.Shutdown(theirs, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if _, _, err := receiveFDs(ours); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want %v", err, io.EOF)
	}
}

// TestParamsFit: the largest wish there can be fits into a message, with room.
func TestParamsFit(t *testing.T) {
	t.Parallel()
	var ranges []proxycore.PortRange
	for i := range maxRanges {
		ranges = append(ranges, proxycore.PortRange{First: uint16(10000 + 2*i), Last: uint16(10000 + 2*i)})
	}
	b, err := json.Marshal(message{Params: &params{wish: wish{Transparent: true, Capture: ranges, Loopback4: ranges, Loopback6: ranges}}})
	if err != nil || len(b) > maxMessage/2 {
		t.Errorf("the message has %d bytes of %d: %v", len(b), maxMessage, err)
	}
	var m message
	if err := json.Unmarshal(b, &m); err != nil || len(m.Params.Capture) != maxRanges || len(m.Params.Loopback6) != maxRanges {
		t.Errorf("it arrives as %v: %v", m.Params, err)
	}
}

// TestEntrancesWithoutIPv6: where IPv6 is disabled, IPv4 is captured all the same.
func TestEntrancesWithoutIPv6(t *testing.T) {
	t.Parallel()
	if _, err := Probe(t.Context(), UserNS); err != nil {
		t.Skipf("not tested: %v", err)
	}
	for _, way := range []string{entranceRedirect, entranceTCP} {
		cmd := exec.CommandContext(t.Context(), self, "helper", "no-ipv6", way)
		sys, err := ownNamespaces()
		if err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = sys
		out, err := cmd.CombinedOutput()
		want := "proxy false\n" + way + " false\ndns-udp false\ndns-tcp false\nconnected\nEADDRNOTAVAIL\n"
		if err != nil || string(out) != want {
			t.Errorf("%v: %q, want %q", err, out, want)
		}
	}
}
