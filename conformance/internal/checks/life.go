// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func lifeChecks() []check.Check {
	tcp := []string{"tcp"}
	return []check.Check{
		{ID: "LIFE-001.port", Summary: "without a port one is allocated, on the loopback interface", Needs: tcp, Run: ephemeralPort},
		{ID: "LIFE-001.loopback-only", Summary: "no other address of the host accepts", Needs: tcp, Run: loopbackOnly},
		{ID: "LIFE-002.explicit-port", Summary: "a port that was asked for is the one", Needs: tcp, Run: explicitPort},
		{ID: "LIFE-003.busy-port", Summary: "a port in use is an error at the start", Needs: tcp, Run: busyPort},
		{ID: "LIFE-004.not-accepting", Summary: "after Stop nothing accepts", Run: stopped},
		{ID: "LIFE-004.port-free", Summary: "after Stop the port can be used again at once", Needs: tcp, Run: portFree},
		{ID: "LIFE-005.client-end", Summary: "Stop ends live tunnels towards the client", Run: stopEnds(true)},
		{ID: "LIFE-005.origin-end", Summary: "Stop ends live tunnels towards the origin", Run: stopEnds(false)},
		{ID: "LIFE-006.stop-twice", Summary: "Stop may be called again, and at the same time", Run: stopTwice},
		{ID: "LIFE-007.stop-in-progress", Summary: "Stop does not wait for heads, lookups and dials", Run: stopInProgress},
		{ID: "LIFE-008.separate-policies", Summary: "two instances keep to their own policies", Run: separatePolicies},
		{ID: "LIFE-009.no-bundle", Summary: "no CA bundle without interception", Run: noBundle},
		{ID: "LIFE-010.death", Summary: "unexpected death is reported", Needs: []string{"death-report"}, Run: death},
		{ID: "LIFE-011.failed-start", Summary: "a start that failed leaves the port free", Needs: tcp, Run: failedStartPort},
	}
}

var coreConfig = check.Config{Allow: []string{check.AllowedHost, "silent.example.com", "blackhole.example.com"}}

func tcpAddr(x *check.X, p *check.Proxy) *net.TCPAddr {
	a, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		x.Fail(oracle.Lifecycle, "the instance's address is %v, want a TCP address", p.Addr)
	}
	return a
}

func ephemeralPort(x *check.X) {
	p := x.MustStart(coreConfig)
	a := tcpAddr(x, p)
	x.Line("Got", "%s", a)
	x.Saw(oracle.Lifecycle).Expect(a.Port).To(BeNumerically(">", 0), "port")
	x.Saw(oracle.Lifecycle).Expect(a.IP.IsLoopback()).To(BeTrue(), "%s is a loopback address", a.IP)
	x.Control(p, "after")
}

// loopbackOnly connects to the port on other addresses, which in this world are all the host's own.
func loopbackOnly(x *check.X) {
	p := x.MustStart(coreConfig)
	port := tcpAddr(x, p).Port
	for _, host := range []string{"10.9.8.7", "192.168.77.1", "93.184.215.14"} {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(port)), x.Bound())
		if err == nil {
			c.Close()
			x.Note(oracle.Lifecycle, "the proxy's port answers at %s", host)
		}
	}
	x.Control(p, "after")
}

func explicitPort(x *check.X) {
	c := coreConfig
	c.Port = freePort(x)
	p := x.MustStart(c)
	x.Saw(oracle.Lifecycle).Expect(tcpAddr(x, p).Port).To(Equal(c.Port), "port")
	x.Control(p, "after")
}

func busyPort(x *check.X) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		x.Abort("occupying a port: %v", err)
	}
	defer l.Close()
	c := coreConfig
	c.Port = l.Addr().(*net.TCPAddr).Port
	p, err := x.Start(c)
	x.Line("Got", "%v", err)
	if err == nil {
		x.Fail(oracle.Lifecycle, "an instance runs at %v though port %d is somebody else's", p.Addr, c.Port)
	}
}

func mustEnd(x *check.X, p *check.Proxy) {
	begin := time.Now()
	x.Saw(oracle.Lifecycle).Expect(p.End()).To(Succeed(), "Stop")
	x.Line("Got", "Stop returned after %v", time.Since(begin).Round(time.Millisecond))
}

func stopped(x *check.X) {
	p := x.MustStart(coreConfig)
	x.Control(p, "before")
	mustEnd(x, p)
	c, err := p.Dial()
	if err != nil {
		return // refused, or the sandbox cannot be entered any more
	}
	x.Defer(func() { c.Close() })
	c.SetDeadline(time.Now().Add(x.Bound()))
	// The kernel may have completed a handshake for a listener that is being closed: then the
	// connection ends without an answer.
	fmt.Fprint(c, check.Head(check.AllowedTarget))
	n, err := c.Read(make([]byte, 16))
	if n > 0 || isTimeout(err) {
		x.Fail(oracle.Lifecycle, "the proxy accepts after Stop: %d bytes, %v", n, err)
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func portFree(x *check.X) {
	p := x.MustStart(coreConfig)
	x.Control(p, "before")
	a := tcpAddr(x, p)
	mustEnd(x, p)
	l, err := net.Listen("tcp4", a.String())
	x.Saw(oracle.Lifecycle).Expect(err).NotTo(HaveOccurred(), "listening on %s after Stop", a)
	l.Close()
}

func stopEnds(client bool) func(*check.X) {
	return func(x *check.X) {
		p := x.MustStart(coreConfig)
		t := x.Tunnel(p)
		t.Send("live")
		x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "live")).To(Succeed())
		mustEnd(x, p)
		if client {
			_, err := t.End(x.Bound())
			x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred(), "the client's side after Stop")
			return
		}
		_, err := x.OriginEnd(t.Origin)
		x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred(), "the origin's side after Stop")
	}
}

// stopTwice goes past the once of the engine: it is the backend's own Stop that is called.
func stopTwice(x *check.X) {
	p := x.MustStart(coreConfig)
	x.Control(p, "before")
	ctx, cancel := context.WithTimeout(x.Ctx, x.Patience())
	defer cancel()
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- p.Stop(ctx) }()
	}
	for range 2 {
		select {
		case err := <-errs:
			x.Saw(oracle.Lifecycle).Expect(err).NotTo(HaveOccurred(), "two calls of Stop at the same time")
		case <-ctx.Done():
			x.Fail(oracle.Lifecycle, "two calls of Stop at the same time have not returned")
		}
	}
	x.Saw(oracle.Lifecycle).Expect(p.Stop(ctx)).To(Succeed(), "a third call of Stop")
}

func stopInProgress(x *check.X) {
	p := x.MustStart(coreConfig)
	x.Control(p, "before")
	mark := x.Mark()
	for _, text := range []string{
		"CONNECT allowed", check.Head("silent.example.com:443"), check.Head("blackhole.example.com:80"),
	} {
		x.Client(p).Send(text)
	}
	inProgress(x, p, mark)
	begin := time.Now()
	x.Saw(oracle.Lifecycle).Expect(p.End()).To(Succeed(), "Stop")
	took := time.Since(begin)
	x.Line("Got", "Stop returned after %v", took.Round(time.Millisecond))
	if took > x.Bound() {
		x.Fail(oracle.Lifecycle, "Stop took %v while a head, a lookup and a dial were in progress, want at most %v", took, x.Bound())
	}
}

// inProgress waits until the lookup and the dial are under way: a Stop before that would have nothing to wait for.
func inProgress(x *check.X, p *check.Proxy, mark world.Mark) {
	x.Saw(oracle.Control).Eventually(func() bool {
		seen := x.Since(mark, p)
		asked := slices.ContainsFunc(seen.Queries, func(q string) bool { return strings.HasSuffix(q, " silent.example.com") })
		return asked && slices.Contains(seen.Attempts, netip.AddrPortFrom(x.World.Addr("blackhole.example.com"), 80))
	}).WithTimeout(x.Bound()).WithPolling(10*time.Millisecond).Should(BeTrue(), "a lookup and a dial in progress")
}

func separatePolicies(x *check.X) {
	a := x.MustStart(check.Config{Allow: []string{check.AllowedHost}})
	b := x.MustStart(check.Config{Allow: []string{check.AllowedHost, "second.example.org"}})
	x.Control(a, "before")
	r := x.Client(b).Ask("second.example.org:443")
	x.Saw(oracle.Control).Expect(r.OK()).To(BeTrue(), "the instance whose policy allows it: %s", r)
	mark := x.Mark()
	r = x.Client(a).Ask("second.example.org:443")
	seen := x.Since(mark, a)
	x.Line("Got", "%s from the instance that does not allow it", r)
	x.Line("Origin", "%s", seen.Origin())
	noDial(x, seen)
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeFalse(), "answer: %s", r)
	x.Control(a, "after")
}

func noBundle(x *check.X) {
	p := x.Core()
	x.Line("Got", "CA bundle %q", p.CABundle)
	if x.Claims("intercept") {
		x.Saw(oracle.Lifecycle).Expect(p.CABundle).To(BeAnExistingFile(), "the bundle of an intercepting proxy")
		return
	}
	x.Saw(oracle.Lifecycle).Expect(p.CABundle).To(BeEmpty(), "the bundle of a proxy that does not intercept")
}

func death(x *check.X) {
	p := x.MustStart(coreConfig)
	x.Control(p, "before")
	if p.Kill == nil || p.Done == nil {
		x.Abort("the backend claims death-report and gives no Kill or no Done")
	}
	select {
	case <-p.Done:
		x.Fail(oracle.Lifecycle, "a living proxy was reported dead")
	default:
	}
	ctx, cancel := x.Within()
	defer cancel()
	if err := p.Kill(ctx); err != nil {
		x.Abort("Kill: %v", err)
	}
	select {
	case <-p.Done:
	case <-ctx.Done():
		x.Fail(oracle.Lifecycle, "the proxy is dead and nobody was told within %v", x.Bound())
	}
}
