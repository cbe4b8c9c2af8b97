// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bufio"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// Case is one row of a table as the runner of tables sees it: a vector or a head.
type Case struct {
	ID, Policy, Sent, Method string
	Want                     vectors.Verdict
	Expect                   oracle.Expectation
	EOF                      bool
}

// Observation is what both witnesses saw of one case.
type Observation struct {
	Case     Case
	Evidence oracle.Evidence
	Origin   string
	DNS      string
}

// Observed are the observations of one group, made once per session: several checks judge the same
// evidence from different sides.
type Observed struct {
	All   []Observation
	broke []oracle.Finding // controls that failed
	lost  time.Duration    // for which nothing ran meanwhile; see pulse
}

// Cases returns the table of a requirement.
func (x *X) Cases(group string) []Case {
	var out []Case
	for _, v := range vectors.Targets() {
		if v.Group == group {
			out = append(out, x.vectorCase(v))
		}
	}
	for _, h := range vectors.Heads() {
		if h.Group == group {
			out = append(out, x.headCase(h))
		}
	}
	if len(out) == 0 {
		panic("conformance: no vectors for " + group)
	}
	return out
}

func (x *X) vectorCase(v vectors.Vector) Case {
	c := Case{ID: v.ID(), Policy: v.Policy, Sent: v.Head(), Method: "CONNECT", Want: v.Want}
	c.Expect = oracle.Expectation{Status: v.Status, Lookup: v.Lookup, Reach: x.reach(v.Target)}
	return c
}

func (x *X) headCase(h vectors.Head) Case {
	method, _, _ := strings.Cut(strings.TrimLeft(h.Bytes, " \r\n"), " ")
	c := Case{ID: h.ID(), Policy: "core", Sent: h.Bytes, Method: method, Want: h.Want, EOF: h.EOF}
	c.Expect = oracle.Expectation{Status: h.Status, MayClose: h.MayClose, Reach: x.reach(AllowedTarget)}
	return c
}

// reach returns where an allowed target leads.
func (x *X) reach(target string) []netip.AddrPort {
	if ap, err := netip.ParseAddrPort(target); err == nil {
		return []netip.AddrPort{ap}
	}
	host, port, ok := strings.Cut(target, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil {
		return nil
	}
	addr := x.World.Addr(strings.TrimSuffix(strings.ToLower(host), "."))
	if !addr.IsValid() {
		return nil
	}
	return []netip.AddrPort{netip.AddrPortFrom(addr, uint16(n))}
}

// Observe runs the table of a requirement, or returns what an earlier check of this session saw of it.
func (x *X) Observe(group string) []Observation {
	o := x.s.observed[group]
	if o == nil {
		o = x.observe(group)
		x.s.observed[group] = o
	} else {
		x.lost += o.lost
	}
	for _, f := range o.broke {
		x.Note(f.Kind, "%s", f.Text)
	}
	return o.All
}

func (x *X) observe(group string) *Observed {
	o := &Observed{}
	before := x.s.pulse.lost(time.Now())
	cases := x.Cases(group)
	p := x.Policy(cases[0].Policy)
	x.tryControl(p, "before", o)
	o.All = x.Try(p, cases)
	x.tryControl(p, "after", o)
	o.lost = x.s.pulse.lost(time.Now()) - before
	return o
}

// tryControl is Control for tables: the finding is kept with the observations, for every check of them.
func (x *X) tryControl(p *Proxy, when string, o *Observed) {
	y := &X{Ctx: x.Ctx, World: x.World, s: x.s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		y.Control(p, when)
	}()
	<-done
	y.clean()
	y.mu.Lock()
	defer y.mu.Unlock()
	o.broke = append(o.broke, y.result.Findings...)
}

// Try runs cases, each on a connection of its own, one after another. What happens in the world between
// two of them counts for the later one, so that nothing is lost.
func (x *X) Try(p *Proxy, cases []Case) []Observation {
	var out []Observation
	mark := x.Mark()
	for _, c := range cases {
		o := x.exchange(p, c)
		seen, next, err := x.World.Since(mark, p.door()...)
		if err != nil {
			x.Abort("%v", err)
		}
		mark = next
		o.Evidence.Dials, o.Evidence.Queries = seen.Dials(), seen.Queries
		o.Origin, o.DNS = seen.Origin(), seen.DNS()
		out = append(out, o)
	}
	return out
}

// exchange is the client's part of a case.
func (x *X) exchange(p *Proxy, c Case) Observation {
	conn, err := p.Dial()
	if err != nil {
		return Observation{Case: c, Evidence: oracle.Evidence{Unreached: true, Answer: err.Error()}}
	}
	defer conn.Close()
	client := &Client{Conn: conn, R: bufio.NewReader(conn), x: x}
	client.Send(c.Sent)
	if c.EOF {
		conn.CloseWrite()
	}
	r := client.Answer(c.Method)
	e := evidence(r)
	if r.OK() {
		e.Echo = client.Echo("echo "+c.ID+"\n") == nil
	}
	return Observation{Case: c, Evidence: e}
}

func evidence(r probe.Response) oracle.Evidence {
	return oracle.Evidence{Status: r.Status, Ended: r.Ended(), TimedOut: r.TimedOut(), Answer: r.String()}
}

// Judge applies an oracle to the observations and notes what speaks against the subject.
func (x *X) Judge(all []Observation, verdict func(oracle.Evidence, oracle.Expectation) []oracle.Finding) {
	bad := 0
	for _, o := range all {
		findings := verdict(o.Evidence, o.Case.Expect)
		if len(findings) == 0 {
			continue
		}
		if bad++; bad <= 3 {
			x.Line("Sent", "%.160q", o.Case.Sent)
			x.Line("Got", "%s", o.Evidence.Answer)
			x.Line("Origin", "%s", o.Origin)
			x.Line("DNS", "%s", o.DNS)
		}
		for _, f := range findings {
			request, _, _ := strings.Cut(strings.TrimLeft(o.Case.Sent, "\r\n"), "\r\n")
			x.Note(f.Kind, "%s (%.80q): %s", o.Case.ID, request, f.Text)
		}
	}
	x.Line("Table", "%s", fmt.Sprintf("%d of %d cases as required", len(all)-bad, len(all)))
}
