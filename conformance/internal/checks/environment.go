// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"net"
	"os"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// plantVariables sets the proxy variables of the host, in both cases, until the check is over.
func plantVariables(x *check.X, value string) {
	for _, upper := range proxyVariables {
		for _, name := range []string{upper, strings.ToLower(upper)} {
			plant(x, name, value)
		}
	}
}

// plant sets a variable of the host until the check is over.
func plant(x *check.X, name, value string) {
	old, had := os.LookupEnv(name)
	os.Setenv(name, value)
	x.Defer(func() {
		if had {
			os.Setenv(name, old)
		} else {
			os.Unsetenv(name)
		}
	})
}

// hostProxy starts an instance in an environment that names a proxy, which is there and serves nobody: a proxy that
// follows such variables hands its tunnels to it, past its own look at addresses.
func hostProxy(x *check.X) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		x.Abort("a proxy that serves nobody: %v", err)
	}
	x.Defer(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	plantVariables(x, "http://"+l.Addr().String())
	x.Line("Sent", "CONNECT %s to an instance whose environment names the proxy %s", check.AllowedTarget, l.Addr())
	p := x.MustStart(check.Config{Allow: []string{check.AllowedHost}})
	t := x.Tunnel(p)
	t.Send("direct")
	x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "direct")).To(Succeed())
}

// foreignProxy is an address of no interface.
const foreignProxy = "http://192.0.2.7:3128"

// hostVariables plants a proxy on the host that the command must not be sent to.
func hostVariables(x *check.X) {
	p := x.Core()
	plantVariables(x, foreignProxy)
	r := ask(x, p, probe.Action{Do: "proxy", Address: check.AllowedTarget})
	env := environ(r.Env)
	for _, upper := range proxyVariables {
		for _, name := range []string{upper, strings.ToLower(upper)} {
			x.Line("Got", "%s=%s", name, env[name])
			x.Saw(oracle.Sandbox).Expect(env[name]).NotTo(Equal(foreignProxy), "%s inside", name)
		}
	}
	x.Saw(oracle.Sandbox).Expect(r.Results[0].Done).To(BeTrue(), "%s from inside: %s", check.AllowedTarget, r.Results[0].Detail)
}
