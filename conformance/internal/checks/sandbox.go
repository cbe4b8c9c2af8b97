// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func sandboxChecks() []check.Check {
	all := []check.Check{
		{ID: "SANDBOX-001.allowed", Summary: "an allowed host is reached from inside, by the variables alone", Run: insideAllowed},
		{ID: "SANDBOX-002.denied", Summary: "a host that is not allowed is 403 inside", Run: insideDenied},
		{ID: "SANDBOX-003.variables", Summary: "the proxy variables are set, in both cases", Run: variables},
		{ID: "SANDBOX-003.no-proxy", Summary: "NO_PROXY names the loopback interface at most", Run: noProxy},
		{ID: "SANDBOX-004.tcp", Summary: "TCP past the proxy reaches nothing", Run: nothing("dial", "tcp4",
			"93.184.215.14:443", "45.33.32.156:443", "45.33.32.156:22", "10.1.2.3:443", "192.168.1.1:443", "172.17.0.1:22", "169.254.169.254:443")},
		{ID: "SANDBOX-005.udp", Summary: "UDP reaches nothing", Run: nothing("send", "udp4",
			"45.33.32.156:53", "45.33.32.156:443", "45.33.32.156:123", "10.1.2.3:53", "224.0.0.251:5353", "255.255.255.255:67")},
		{ID: "SANDBOX-006.dns", Summary: "names cannot be looked up, not even allowed ones", Run: nothing("lookup", "", check.AllowedHost, "carried-out.denied.example.net")},
		{ID: "SANDBOX-007.ipv6", Summary: "IPv6 reaches nothing", Run: nothing("dial", "tcp",
			"[2606:2800:21f::14]:443", "[fd12:3456::1]:443", "[::ffff:93.184.215.14]:443")},
		{ID: "SANDBOX-008.host-loopback", Summary: "services on the host's loopback interface cannot be reached", Run: nothing("dial", "tcp",
			"127.0.0.1:443", "127.0.0.2:443", "127.0.0.1:22", "[::1]:443")},
		{ID: "SANDBOX-009.abstract-sockets", Summary: "the host's abstract unix sockets cannot be reached", Run: abstractSocket},
		{ID: "SANDBOX-009.abstract-datagrams", Summary: "nor can they be sent datagrams", Run: abstractDatagram},
		{ID: "SANDBOX-010.raw-sockets", Summary: "no raw and no packet socket can be made", Run: forbidden("raw")},
		{ID: "SANDBOX-010.configure", Summary: "the network cannot be configured", Run: forbidden("configure")},
		{ID: "SANDBOX-011.nested", Summary: "a further namespace leads nowhere", Run: nothing("unshare", "tcp4", "93.184.215.14:443")},
	}
	all = append(all, processChecks()...)
	all = append(all, doorChecks()...)
	all = append(all, outsiderChecks()...)
	for i := range all {
		all[i].Needs = append(all[i].Needs, "sandbox")
	}
	return all
}

func insideAllowed(x *check.X) {
	p := x.Core()
	mark := x.Mark()
	r := ask(x, p, probe.Action{Do: "proxy", Address: check.AllowedTarget})
	seen := x.Since(mark, p)
	got := r.Results[0]
	x.Line("Got", "%d, %s", got.Status, got.Detail)
	x.Line("Origin", "%s", seen.Origin())
	x.Saw(oracle.Sandbox).Expect(got.Done).To(BeTrue(), "an echo from %s: %s", check.AllowedTarget, got.Detail)
	x.Saw(oracle.OriginDial).Expect(seen.Connections).To(HaveLen(1), "connections to origins")
}

func insideDenied(x *check.X) {
	p := x.Core()
	mark := x.Mark()
	r := ask(x, p, probe.Action{Do: "proxy", Address: check.DeniedTarget})
	seen := x.Since(mark, p)
	x.Line("Got", "%d, %s", r.Results[0].Status, r.Results[0].Detail)
	x.Line("Origin", "%s", seen.Origin())
	x.Line("DNS", "%s", seen.DNS())
	noDial(x, seen)
	noQuery(x, seen)
	x.Saw(oracle.ClientStatus).Expect(r.Results[0].Status).To(Equal(403))
	insideControl(x, p)
}

// insideControl verifies that the sandbox has its way out, so that a sandbox in which nothing works at all
// cannot pass for a tight one.
func insideControl(x *check.X, p *check.Proxy) {
	r := ask(x, p, probe.Action{Do: "proxy", Address: check.AllowedTarget})
	if !r.Results[0].Done {
		x.Fail(oracle.Control, "%s from inside: %s", check.AllowedTarget, r.Results[0].Detail)
	}
	x.Line("Control", "%s worked from inside", check.AllowedTarget)
}

// The control of what is tried inside: another allowed host, asked through the proxy by the same program
// before and after.
const (
	insideHost   = "second.example.org"
	insideTarget = insideHost + ":443"
)

// nothing tries addresses from inside, and asks both witnesses: the program, for which no attempt may
// work, and the world, which may have seen nothing but the control.
func nothing(do, network string, addresses ...string) func(*check.X) {
	return func(x *check.X) {
		p := x.Core()
		control := probe.Action{Do: "proxy", Address: insideTarget}
		actions := []probe.Action{control}
		for _, a := range addresses {
			actions = append(actions, probe.Action{Do: do, Network: network, Address: a})
		}
		mark := x.Mark()
		r := ask(x, p, append(actions, control)...)
		seen := x.Since(mark, p)
		judgeNothing(x, r.Results, seen)
	}
}

func judgeNothing(x *check.X, results []probe.Result, seen world.Seen) {
	x.Line("Origin", "%s", seen.Origin())
	x.Line("DNS", "%s", seen.DNS())
	for _, res := range results {
		x.Line("Got", "%s %s: %s", res.Action.Do, res.Action.Address, res.Detail)
		isControl := res.Action.Address == insideTarget
		if isControl && !res.Done {
			x.Note(oracle.Control, "%s through the proxy, from inside: %s", insideTarget, res.Detail)
		}
		if !isControl && res.Done {
			x.Note(oracle.Sandbox, "%s %s worked from inside: %s", res.Action.Do, res.Action.Address, res.Detail)
		}
	}
	door := netip.AddrPortFrom(x.World.Addr(insideHost), 443)
	for _, d := range seen.Dials() {
		if d != door {
			x.Note(oracle.OriginDial, "a packet left the sandbox, to %v", d)
		}
	}
	for _, q := range seen.Queries {
		if !strings.HasSuffix(q, " "+insideHost) {
			x.Note(oracle.DNSQuery, "a query left the sandbox: %s", q)
		}
	}
}

func forbidden(do string) func(*check.X) {
	return func(x *check.X) {
		p := x.Core()
		res := ask(x, p, probe.Action{Do: do}).Results[0]
		x.Line("Got", "%s: %s", do, res.Detail)
		if res.Done {
			x.Fail(oracle.Sandbox, "%s: %s", do, res.Detail)
		}
		insideControl(x, p)
	}
}

var proxyVariables = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}

func variables(x *check.X) {
	p := x.Core()
	env := environ(ask(x, p).Env)
	want := env["HTTPS_PROXY"]
	x.Line("Got", "HTTPS_PROXY=%s", want)
	x.Saw(oracle.Sandbox).Expect(want).To(HavePrefix("http://"), "HTTPS_PROXY inside")
	for _, name := range proxyVariables {
		x.Saw(oracle.Sandbox).Expect(env[name]).To(Equal(want), name)
		x.Saw(oracle.Sandbox).Expect(env[strings.ToLower(name)]).To(Equal(want), strings.ToLower(name))
	}
}

// noProxy plants a NO_PROXY on the host that would open everything if it were inherited.
func noProxy(x *check.X) {
	p := x.Core()
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		old, had := os.LookupEnv(name)
		os.Setenv(name, "*")
		x.Defer(func() {
			if had {
				os.Setenv(name, old)
			} else {
				os.Unsetenv(name)
			}
		})
	}
	env := environ(ask(x, p).Env)
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		x.Line("Got", "%s=%s", name, env[name])
		for entry := range strings.SplitSeq(env[name], ",") {
			entry = strings.TrimSpace(entry)
			ip := net.ParseIP(strings.Trim(entry, "[]"))
			if entry == "" || entry == "localhost" || ip != nil && ip.IsLoopback() {
				continue
			}
			x.Note(oracle.Sandbox, "%s inside names %q", name, entry)
		}
	}
}

func environ(list []string) map[string]string {
	env := map[string]string{}
	for _, kv := range list {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	return env
}

func abstractSocket(x *check.X) {
	name := fmt.Sprintf("@egress-conformance-%d", os.Getpid())
	l, err := net.Listen("unix", name)
	if err != nil {
		x.Abort("listening on an abstract socket: %v", err)
	}
	defer l.Close()
	nothing("dial", "unix", name)(x)
}
