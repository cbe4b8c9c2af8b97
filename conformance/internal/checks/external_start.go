// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/child"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func missing(x *check.X) string { return filepath.Join(socketDir(x), "nobody") }

func notExecutable(x *check.X) string {
	path := filepath.Join(socketDir(x), "text")
	if err := os.WriteFile(path, []byte("no program\n"), 0o600); err != nil {
		x.Abort("%v", err)
	}
	return path
}

// noProgram asks for a program there is not.
func noProgram(path func(*check.X) string) func(*check.X) {
	return func(x *check.X) {
		c := program(x, control(x), child.Options{Do: child.Serve})
		c.Child.Path = path(x)
		s := x.Begin(c, 0)
		if !s.Within(x.Patience()) {
			x.Fail(oracle.Lifecycle, "the start of %q, which has no deadline, has not returned", c.Child.Path)
		}
		p, err := s.Result()
		x.Line("Got", "%v", err)
		if err == nil {
			x.Fail(oracle.Lifecycle, "an instance runs at %v, whose program is %q", p.Addr, c.Child.Path)
		}
	}
}

// said is what the children that end say: a word nobody else would use.
const said = "the-configuration-names-a-host-twice-8a51f3"

// exits begins the start of a child that ends before it listens, and waits for its end.
func exits(x *check.X, h *child.Hub) *check.Starting {
	s := x.Begin(program(x, h, child.Options{Do: child.Exit, Words: said}), 0)
	m := came(x, h, child.Main)
	select {
	case <-m.Ended():
	case <-x.Ctx.Done():
		x.Abort("the child does not end")
	}
	return s
}

// exitsAtOnce gives the start no deadline: it is the child's end that has to end it.
func exitsAtOnce(x *check.X) {
	s := exits(x, control(x))
	if !s.Within(x.Patience()) {
		x.Fail(oracle.Child, "the child has ended, and %v later the start, which has no deadline, still waits for it", x.Patience())
	}
	p, err := s.Result()
	x.Line("Got", "%v", err)
	if err == nil {
		x.Fail(oracle.Child, "an instance runs at %v, and its child has ended before it listened", p.Addr)
	}
}

// lastWords looks for the child's own words, wherever whoever looks for the reason would find them.
func lastWords(x *check.X) {
	s := exits(x, control(x))
	if !s.Within(x.Patience()) {
		s.Cancel()
	}
	if _, err := settled(x, s); err == nil || !strings.Contains(err.Error(), said) && !strings.Contains(s.Said(), said) {
		x.Fail(oracle.Child, "neither the error nor the log has what the child said before it ended: %q", said)
	}
}

// neverListens waits for the deadline, or gives the start up once the child is there.
func neverListens(cancelled bool) func(*check.X) {
	return func(x *check.X) {
		h := control(x)
		c := program(x, h, child.Options{Do: child.Mute})
		var s *check.Starting
		if cancelled {
			s = x.Begin(c, 0)
			came(x, h, child.Main)
			s.Cancel()
		} else {
			s = x.Begin(c, x.Bound())
			s.Within(x.Bound())
		}
		if p, err := settled(x, s); err == nil {
			x.Fail(oracle.Child, "an instance runs at %v, and its child listens nowhere", p.Addr)
		}
		straggler(x, h)
		gone(x, h, "after the start that failed")
	}
}

// straggler waits for a child that is left behind and so busy that the deadline came before its first word. One that
// was ended before that never comes, which is as it should be.
func straggler(x *check.X, h *child.Hub) {
	ctx, cancel := context.WithTimeout(x.Ctx, x.Patience())
	defer cancel()
	if _, err := h.Await(ctx, child.Main); err != nil {
		x.Line("Child", "was gone before its first word")
	}
}

// deaf is given a deadline, since nobody else could say when it has taken too long.
func deaf(x *check.X) {
	h := control(x)
	s := x.Begin(program(x, h, child.Options{Do: child.Deaf}), x.Bound())
	s.Within(x.Bound())
	if p, err := settled(x, s); err == nil {
		x.Fail(oracle.Child, "an instance runs at %v, and its child answers nobody", p.Addr)
	}
	straggler(x, h)
	gone(x, h, "after the start that failed")
}

// other is a proxy of somebody else's that looks like the one that was asked for.
type other struct {
	net.Listener
	asked atomic.Int32 // for what a client of the instance asks for
}

// listenAs makes one, which nobody reaches when nobody can listen there.
func listenAs(x *check.X, port string) *other {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		x.Line("Control", "nobody else can listen on the child's port: %v", err)
		return &other{}
	}
	x.Defer(func() { l.Close() })
	o := &other{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go o.serve(c)
		}
	}()
	return o
}

// serve answers one request as a strict proxy would, and keeps the tunnel open.
func (o *other) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	head, err := r.ReadString('\n')
	if err != nil {
		return
	}
	for line := head; strings.TrimSpace(line) != ""; {
		if line, err = r.ReadString('\n'); err != nil {
			return
		}
	}
	if !strings.HasPrefix(head, "CONNECT "+check.AllowedTarget+" ") {
		fmt.Fprint(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	o.asked.Add(1)
	fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
	_, _ = r.WriteTo(c)
}

// stranger is on the child's port before the child is, which stays, as a program does that tries again and again.
func stranger(meanwhile bool) func(*check.X) {
	return func(x *check.X) {
		h := control(x)
		c := program(x, h, child.Options{Do: child.Outrun})
		var o *other
		if !meanwhile {
			if o = listenAs(x, "0"); o.Listener == nil {
				x.Abort("nobody can listen anywhere")
			}
			c.Port = o.Addr().(*net.TCPAddr).Port
		}
		s := x.Begin(c, 0)
		if meanwhile {
			m := came(x, h, child.Main)
			o = listenAs(x, port(x, m))
			m.Tell(child.Go)
		} else {
			ctx, cancel := context.WithCancel(x.Ctx)
			x.Defer(cancel)
			go func() {
				if m, err := h.Await(ctx, child.Main); err == nil {
					m.Tell(child.Go)
				}
			}()
		}
		if !s.Within(x.Bound()) {
			s.Cancel() // who waits for the child to get its port does not do wrong either
		}
		p, err := settled(x, s)
		if err == nil {
			whose(x, p, o)
			mustEnd(x, p)
		}
		gone(x, h, "after the start")
	}
}

// whose finds out who serves the instance's clients.
func whose(x *check.X, p *check.Proxy, o *other) {
	o.asked.Store(0)
	r := x.Client(p).Ask(check.AllowedTarget)
	x.Line("Sent", "CONNECT %s to %v", check.AllowedTarget, p.Addr)
	x.Line("Got", "%s", r)
	if o.asked.Load() > 0 {
		x.Fail(oracle.Child, "who serves the instance's client is somebody else on the child's port")
	}
	x.Saw(oracle.Child).Expect(r.OK()).To(BeTrue(), "an instance runs at %v, and its child does not: %s", p.Addr, r)
}

// openChild may be handed out by who filters in front of it.
func openChild(x *check.X) {
	h := control(x)
	p, err := x.Start(program(x, h, child.Options{Do: child.Open}))
	x.Line("Got", "%v", err)
	came(x, h, child.Main)
	if err == nil {
		x.Control(p, "before")
		mark := x.Mark()
		r := x.Client(p).Ask(check.DeniedTarget)
		seen := x.Since(mark, p)
		x.Line("Sent", "CONNECT %s", check.DeniedTarget)
		x.Line("Got", "%s", r)
		x.Line("Origin", "%s", seen.Origin())
		noDial(x, seen)
		x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeFalse(), "answer: %s", r)
		mustEnd(x, p)
	}
	gone(x, h, "after the start")
}

// exposedChild may be handed out by who keeps it from being reached.
func exposedChild(x *check.X) {
	h := control(x)
	p, err := x.Start(program(x, h, child.Options{Do: child.Exposed}))
	x.Line("Got", "%v", err)
	m := came(x, h, child.Main)
	if err == nil {
		for _, host := range []string{"10.9.8.7", "93.184.215.14"} {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(host, port(x, m)), x.Bound())
			if err == nil {
				c.Close()
				x.Note(oracle.Child, "the child's port answers at %s", host)
			}
		}
		mustEnd(x, p)
	}
	gone(x, h, "after the start")
}

// parallelStarts starts programs of which none may get another's port.
func parallelStarts(x *check.X) {
	h := control(x)
	var all [6]*check.Starting
	for i := range all {
		all[i] = x.Begin(program(x, h, child.Options{Do: child.Serve}), 0)
	}
	ports := map[int]bool{}
	for i, s := range all {
		if !s.Within(ample(x)) {
			x.Fail(oracle.Lifecycle, "start %d of %d at the same time does not return", i+1, len(all))
		}
		p, err := s.Result()
		if err != nil {
			x.Fail(oracle.Child, "start %d of %d at the same time: %v", i+1, len(all), err)
		}
		x.Control(p, "instance "+strconv.Itoa(i+1))
		a := tcpAddr(x, p)
		x.Saw(oracle.Child).Expect(ports[a.Port]).To(BeFalse(), "port %d is that of two instances", a.Port)
		ports[a.Port] = true
	}
}
