// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func chainCredentialChecks() []check.Check {
	all := needing(withAuth,
		check.Check{ID: "UPSTREAM-011.sent", Summary: "the upstream gets the credentials, exactly, with every request", Run: credentialsSent(world.WayHTTP)},
		check.Check{ID: "UPSTREAM-011.wrong", Summary: "an upstream that does not take them makes no tunnel", Run: credentialsWrong(world.WayHTTP)},
		check.Check{ID: "UPSTREAM-011.unclaimed", Summary: "a backend that knows no credentials and is given some returns an error", Unclaimed: "upstream-auth", Run: refusesUpstream(world.WayHTTP, true)},
		check.Check{ID: "UPSTREAM-012.origin", Summary: "the origin does not get the credentials", Run: credentialsOrigin},
		check.Check{ID: "UPSTREAM-012.client", Summary: "nor does the client, whatever goes wrong", Run: credentialsClient},
		check.Check{ID: "UPSTREAM-012.log", Summary: "what the proxy says does not have them in it", Run: credentialsLog},
		check.Check{ID: "UPSTREAM-012.processes", Summary: "no process has them among its arguments or in its environment", Run: credentialsProcesses},
		check.Check{ID: "UPSTREAM-012.sandbox", Summary: "nor has a command in the sandbox", Needs: []string{"sandbox"}, Run: credentialsSandbox},
	)
	return append(all, needing(viaHTTP,
		check.Check{ID: "UPSTREAM-013.not-forwarded", Summary: "credentials the client sends to the proxy do not go on to the upstream", Run: clientCredentials},
	)...)
}

// The upstream's credentials. The colon belongs to the password, and its end to this process alone: other suites may
// be running on this machine.
var (
	upUser     = "corp-user"
	upToken    = rand.Text()
	upPassword = "pass:word " + upToken
)

var upBasic = base64.StdEncoding.EncodeToString([]byte(upUser + ":" + upPassword))

// secret returns the form in which the upstream's password is in text, or "".
func secret(text string) string {
	for _, form := range []string{upToken, upBasic} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

// authChain is an instance with the credentials, behind an upstream that asks for them.
func authChain(x *check.X, way world.Way) check.Chain {
	c := x.Behind(way, x.PolicyConfig("core"))
	c.Upstream.User, c.Upstream.Password = upUser, upPassword
	ch := check.Chain{Proxy: x.Shared("core with credentials behind "+string(way), c), Up: x.Upstream()}
	ch.Up.SetScript(world.Script{User: upUser, Password: upPassword})
	return ch
}

func credentialsSent(way world.Way) func(*check.X) {
	return func(x *check.X) {
		ch := authChain(x, way)
		for range 2 {
			h := hopTo(x, ch, check.AllowedTarget)
			mustKnow(x, h)
			h.mustChain(x)
		}
	}
}

// mustKnow fails the check when the upstream did not get the credentials.
func mustKnow(x *check.X, h hop) {
	for _, v := range h.visits {
		if v.Credentials && v.User == upUser && v.Password == upPassword {
			return
		}
	}
	h.lines(x)
	x.Fail(oracle.Upstream, "no request with the right credentials reached the upstream")
}

func credentialsWrong(way world.Way) func(*check.X) {
	return func(x *check.X) {
		ch := authChain(x, way)
		x.Control(ch.Proxy, "before")
		ch.Up.SetScript(world.Script{User: upUser, Password: "another"})
		h := hopTo(x, ch, check.AllowedTarget)
		h.lines(x)
		h.mustFail(x, "the upstream does not take the credentials")
		ch.Up.SetScript(world.Script{User: upUser, Password: upPassword})
		x.Control(ch.Proxy, "after")
	}
}

func credentialsOrigin(x *check.X) {
	ch := authChain(x, world.WayHTTP)
	t := x.Tunnel(ch.Proxy)
	t.Send("only this")
	x.Saw(oracle.ClientStream).Expect(t.CloseWrite()).To(Succeed())
	got, _ := x.OriginEnd(t.Origin) // that the end is passed on is another requirement
	if form := secret(string(got)); form != "" {
		x.Fail(oracle.OriginStream, "the origin received the upstream's password, as %q", form)
	}
	x.Saw(oracle.OriginStream).Expect(string(got)).To(Equal("only this"))
}

// troubles are ways to fail in which a careless proxy explains itself too well.
func troubles(x *check.X, ch check.Chain, after func(what string, h hop)) {
	good := world.Script{User: upUser, Password: upPassword}
	for _, c := range []struct {
		what   string
		script world.Script
	}{
		{"a tunnel", good},
		{"407", world.Script{User: upUser, Password: "another"}},
		{"403", world.Script{Refuse: true, Answer: refusal(403, "", "no")}},
		{"half an answer", world.Script{Refuse: true, Answer: "HTTP/1.1 200"}},
		{"no HTTP", world.Script{Refuse: true, Answer: "hello\r\n\r\n"}},
	} {
		ch.Up.SetScript(c.script)
		after(c.what, hopTo(x, ch, check.AllowedTarget))
	}
	ch.Up.Down()
	after("an upstream that is down", hopTo(x, ch, check.AllowedTarget))
	if err := ch.Up.Up(); err != nil {
		x.Abort("%v", err)
	}
	ch.Up.SetScript(good)
	after("a refusal", hopTo(x, ch, check.DeniedTarget))
	hopTo(x, ch, check.AllowedTarget).mustChain(x)
}

func credentialsClient(x *check.X) {
	ch := authChain(x, world.WayHTTP)
	troubles(x, ch, func(what string, h hop) {
		if form := secret(h.raw); form != "" {
			h.lines(x)
			x.Fail(oracle.ClientAnswer, "%s: the client received the upstream's password, as %q", what, form)
		}
	})
}

func credentialsLog(x *check.X) {
	c := x.Behind(world.WayHTTP, check.Config{Allow: []string{check.AllowedHost}})
	c.Upstream.User, c.Upstream.Password = upUser, upPassword
	ch := check.Chain{Proxy: x.MustStart(c), Up: x.Upstream()}
	look := func(what string, _ hop) {
		if form := secret(ch.Said()); form != "" {
			x.Fail(oracle.Lifecycle, "%s: what the proxy says has the upstream's password in it, as %q", what, form)
		}
	}
	look("the start", hop{})
	troubles(x, ch, look)
	mustEnd(x, ch.Proxy)
	look("Stop", hop{})
	c.Upstream.URL = "http://" + upstreamNowhere
	if p, err := x.Start(c); err == nil {
		mustEnd(x, p) // that it starts at all is another requirement's
	} else if form := secret(err.Error()); form != "" {
		x.Fail(oracle.Lifecycle, "the error of a start has the upstream's password in it, as %q", form)
	}
}

// credentialsProcesses reads what every program of this user can read of another.
func credentialsProcesses(x *check.X) {
	ch := authChain(x, world.WayHTTP)
	hopTo(x, ch, check.AllowedTarget).mustChain(x)
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(dirs) == 0 {
		x.Abort("no processes in /proc: %v", err)
	}
	n := 0
	for _, dir := range dirs {
		for _, name := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue // another's, or gone
			}
			n++
			if form := secret(string(text)); form != "" {
				x.Fail(oracle.Process, "the upstream's password is in %s/%s, as %q", dir, name, form)
			}
		}
	}
	x.Line("Got", "%d lists of arguments and variables, none with the password", n)
}

func credentialsSandbox(x *check.X) {
	ch := authChain(x, world.WayHTTP)
	r := ask(x, ch.Proxy, probe.Action{Do: "proxy", Address: check.AllowedTarget})
	for _, kv := range r.Env {
		if form := secret(kv); form != "" {
			name, _, _ := strings.Cut(kv, "=")
			x.Fail(oracle.Sandbox, "the variable %s has the upstream's password in it, as %q", name, form)
		}
	}
	x.Saw(oracle.Sandbox).Expect(r.Results[0].Done).To(BeTrue(), "%s from inside: %s", check.AllowedTarget, r.Results[0].Detail)
}

func clientCredentials(x *check.X) {
	ch := x.Chain(world.WayHTTP, "core")
	const basic = "Y2xpZW50OnByb3h5"
	for _, field := range []string{"Proxy-Authorization: Basic ", "proxy-authorization: basic ", "Proxy-Authorization:Bearer "} {
		h := hopBy(x, ch, check.AllowedTarget, fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n%s%s\r\n\r\n", check.AllowedTarget, field, basic))
		for _, v := range h.visits {
			if strings.Contains(v.Head, basic) {
				h.lines(x)
				x.Fail(oracle.Upstream, "the client's credentials for the proxy went on to the upstream: %.300q", v.Head)
			}
		}
		h.mustChain(x)
	}
}
