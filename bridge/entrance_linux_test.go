// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
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
