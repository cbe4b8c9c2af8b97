// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// bench is one run of everything.
type bench struct {
	options
	ctx       context.Context
	tmp       string
	goproxy   string // path of the program
	sallyport string
	self      string
	target    netip.AddrPort
	originRun *role
	data      *data
}

// data is everything that was measured: name of the figure, then of the proxy, then one value a round.
type data struct {
	Machine     machine                         `json:"machine"`
	Values      map[string]map[string][]float64 `json:"values"`
	Filter      []filterResult                  `json:"filter"`
	Many        []manyResult                    `json:"many"`
	Failed      []string                        `json:"failed"`       // what ought to have worked
	NotMeasured []string                        `json:"not_measured"` // what cannot be measured here, and why
}

func newData() *data { return &data{Values: map[string]map[string][]float64{}} }

// add notes one value.
func (d *data) add(figure, who string, v float64) {
	if d.Values[figure] == nil {
		d.Values[figure] = map[string][]float64{}
	}
	d.Values[figure][who] = append(d.Values[figure][who], v)
}

// median gives the median of the rounds, and whether there is any.
func (d *data) median(figure, who string) (float64, bool) { return median(d.Values[figure][who]) }

// median gives the middle of some values, or of the two in the middle their mean, and whether there is any.
func median(values []float64) (float64, bool) {
	v := slices.Clone(values)
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2, true
}

// fail notes a measurement that ought to have worked: the run ends with an error.
func (b *bench) fail(what string, err error) {
	b.data.Failed = append(b.data.Failed, what+": "+err.Error())
	fmt.Fprintln(os.Stderr, "bench: failed:", what+":", err)
}

// leave notes what cannot be measured here.
func (b *bench) leave(what, why string) {
	b.data.NotMeasured = append(b.data.NotMeasured, what+": "+why)
	fmt.Fprintln(os.Stderr, "bench: not measured:", what+":", why)
}

// load runs one client against a proxy and notes what the proxy used meanwhile. inside is "" for a client beside the
// proxy, and else the sandbox it runs in.
func (b *bench) load(r *running, inside string, args ...string) (clientResult, usage, error) {
	var res clientResult
	var before, after usage
	c, err := b.startClient(r, inside, args...)
	if err != nil {
		return res, after, err
	}
	line, err := c.line()
	if err == nil && line != "start" {
		err = fmt.Errorf("bench: the client says %q", line)
	}
	if err != nil {
		return res, after, err
	}
	if r != nil {
		if before, err = r.usage(); err != nil {
			return res, after, err
		}
	}
	if line, err = c.line(); err != nil {
		return res, after, err
	}
	if r != nil {
		if after, err = r.usage(); err != nil {
			return res, after, err
		}
		after.CPU = after.since(before)
	}
	if inside == "" {
		c.stop()
	}
	return res, after, json.Unmarshal([]byte(line), &res)
}

// startClient starts a client; r nil means straight to the origin.
func (b *bench) startClient(r *running, inside string, args ...string) (*role, error) {
	proxy := b.target.String()
	if r != nil {
		proxy = r.addr.String()
	}
	if inside != "" {
		proxy = "env"
	}
	args = append([]string{"client", "-proxy", proxy, "-target", b.target.String()}, args...)
	if r != nil && r.connect {
		args = append(args, "-connect")
	}
	if inside == "" {
		return startClient(b.ctx, args...)
	}
	_, err := fmt.Fprintln(r.role.in, inside, strings.Join(args[1:], " "))
	return r.role, err
}

// contender is a proxy with the place its client runs in.
type contender struct {
	name   string
	r      *running
	inside string
}

// contenders starts every proxy once; direct is none at all.
func (b *bench) contenders() (all []contender, stop func(), err error) {
	all = []contender{{name: "direct"}}
	stop = func() {
		for _, c := range all {
			if c.r != nil && c.inside == "" {
				c.r.stop()
			}
		}
	}
	for _, k := range b.wanted() {
		r, err := k.start(b.ctx, b)
		if err != nil {
			b.fail(k.name, err)
			continue
		}
		all = append(all, contender{name: k.name, r: r})
		if r.role == nil {
			continue
		}
		for _, inside := range []string{"bwrap", "userns"} {
			all = append(all, contender{k.name + " in " + inside, r, inside})
		}
	}
	return all, stop, nil
}

// rounds measures every contender in turn, again and again, so that whatever disturbs the machine disturbs them all.
func (b *bench) rounds(all []contender, n int, measure func(c contender) error) {
	broken := map[string]bool{}
	for range n {
		for _, c := range all {
			if broken[c.name] || b.ctx.Err() != nil {
				continue
			}
			if err := measure(c); err != nil {
				broken[c.name] = true
				b.fail(c.name, err)
			}
		}
	}
}

// setUps measures tunnels set up one after the other by so many clients.
func (b *bench) setUps(all []contender, clients int) {
	part := fmt.Sprintf("setup %d", clients)
	warm, run := pick(b.options, 200*time.Millisecond, 300*time.Millisecond), pick(b.options, 700*time.Millisecond, 1500*time.Millisecond)
	b.rounds(all, b.howOften(1, 5), func(c contender) error {
		res, u, err := b.load(c.r, c.inside, "-kind", "setup", "-n", fmt.Sprint(clients), "-warm", warm.String(), "-run", run.String())
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		if res.Failed > 0 || res.Count == 0 {
			return fmt.Errorf("%s: %d of %d tunnels failed", part, res.Failed, res.Failed+res.Count)
		}
		b.data.add(part+" /s", c.name, float64(res.Count)/res.Seconds)
		b.data.add(part+" p50 µs", c.name, res.P50)
		b.data.add(part+" p99 µs", c.name, res.P99)
		if c.r != nil {
			b.data.add(part+" CPU µs", c.name, u.CPU*1e6/float64(res.Count))
		}
		return nil
	})
}

// streams measures throughput.
func (b *bench) streams(all []contender, direction string, n int) {
	part := fmt.Sprintf("%s %d", direction, n)
	warm, run := pick(b.options, 200*time.Millisecond, 300*time.Millisecond), pick(b.options, 700*time.Millisecond, 1500*time.Millisecond)
	b.rounds(all, b.howOften(1, 5), func(c contender) error {
		res, u, err := b.load(c.r, c.inside, "-kind", direction, "-n", fmt.Sprint(n), "-warm", warm.String(), "-run", run.String())
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		if res.Failed > 0 || res.Bytes == 0 {
			return fmt.Errorf("%s: %d streams failed, %d bytes came through", part, res.Failed, res.Bytes)
		}
		b.data.add(part+" Gbit/s", c.name, float64(res.Bytes)*8/1e9/res.Seconds)
		if c.r != nil {
			b.data.add(part+" CPU s/GB", c.name, u.CPU/(float64(res.Bytes)/1e9))
		}
		return nil
	})
}

// insides measures what needs no network: the filter, and many proxies in one process. The rounds go over all sizes.
func (b *bench) insides() {
	for range pick(b.options, 1, 3) {
		for _, n := range pick(b.options, []int{10, 10_000, 1_000_000}, []int{10, 1000, 10_000, 100_000, 1_000_000}) {
			if f := (filterResult{}); b.wants("filter") && b.asked(&f, "filter", n) {
				b.data.Filter = append(b.data.Filter, f)
			}
		}
		for _, n := range pick(b.options, []int{1250, 10_000}, []int{1250, 2500, 5000, 10_000}) {
			if m := (manyResult{}); b.wants("many") && b.asked(&m, "many", n) {
				b.data.Many = append(b.data.Many, m)
			}
		}
	}
}

// asked starts a role that prints one JSON object, and reports whether it did.
func (b *bench) asked(result any, role string, n int) bool {
	if b.ctx.Err() != nil {
		return false
	}
	err := b.ask(result, role, fmt.Sprint(n))
	if err != nil {
		b.fail(fmt.Sprintf("%s %d", role, n), err)
	}
	return err == nil
}

// ask starts a role that prints one JSON object.
func (b *bench) ask(result any, args ...string) error {
	r, err := startRole(b.ctx, args...)
	if err != nil {
		return err
	}
	defer r.stop()
	line, err := r.line()
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(line), result)
}
