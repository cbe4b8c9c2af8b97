// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// bench is one run of everything.
type bench struct {
	ctx       context.Context
	quick     bool
	repeat    int
	only      []string
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
	Machine machine                         `json:"machine"`
	Values  map[string]map[string][]float64 `json:"values"`
	Filter  []filterResult                  `json:"filter"`
	Many    []manyResult                    `json:"many"`
	Skipped []string                        `json:"skipped"`
}

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

// wants says whether a part is to be measured.
func (b *bench) wants(part string) bool { return len(b.only) == 0 || slices.Contains(b.only, part) }

func (b *bench) skip(what string, err error) {
	b.data.Skipped = append(b.data.Skipped, what+": "+err.Error())
	fmt.Fprintln(os.Stderr, "bench: skipped:", what+":", err)
}

// pick is quick in a quick run, and full otherwise.
func pick[T any](b *bench, quick, full T) T {
	if b.quick {
		return quick
	}
	return full
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
		after.CPU -= before.CPU
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
		return startRole(b.ctx, args...)
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
	for _, k := range kinds {
		r, err := k.start(b.ctx, b)
		if err != nil {
			b.skip(k.name, err)
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

// howOften is the number of rounds of a measurement.
func (b *bench) howOften(quick, full int) int {
	if b.repeat > 0 {
		return b.repeat
	}
	return pick(b, quick, full)
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
				b.skip(c.name, err)
			}
		}
	}
}

// setUps measures tunnels set up one after the other by so many clients.
func (b *bench) setUps(all []contender, clients int) {
	part := fmt.Sprintf("setup %d", clients)
	warm, run := pick(b, 200*time.Millisecond, 300*time.Millisecond), pick(b, 700*time.Millisecond, 1500*time.Millisecond)
	b.rounds(all, b.howOften(1, 5), func(c contender) error {
		res, u, err := b.load(c.r, c.inside, "-kind", "setup", "-n", fmt.Sprint(clients), "-warm", warm.String(), "-run", run.String())
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		if res.Failed > 0 {
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
	warm, run := pick(b, 200*time.Millisecond, 300*time.Millisecond), pick(b, 700*time.Millisecond, 1500*time.Millisecond)
	b.rounds(all, b.howOften(1, 5), func(c contender) error {
		res, u, err := b.load(c.r, c.inside, "-kind", direction, "-n", fmt.Sprint(n), "-warm", warm.String(), "-run", run.String())
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		b.data.add(part+" Gbit/s", c.name, float64(res.Bytes)*8/1e9/res.Seconds)
		if c.r != nil {
			b.data.add(part+" CPU s/GB", c.name, u.CPU/(float64(res.Bytes)/1e9))
		}
		return nil
	})
}

// idle measures what idle tunnels hold, each time in a fresh proxy.
func (b *bench) idle(count int) {
	part := fmt.Sprintf("idle %d", count)
	for range pick(b, 1, 2) {
		for _, k := range kinds {
			if err := b.idleOf(k, part, count); err != nil {
				b.skip(part+" "+k.name, err)
			}
		}
	}
}

// settle is how long a proxy has to become quiet before its memory is read.
const settle = 1500 * time.Millisecond

func (b *bench) idleOf(k kind, part string, count int) error {
	r, err := k.start(b.ctx, b)
	if err != nil {
		return err
	}
	defer r.stop()
	// A few tunnels first, for what the proxy allocates once.
	if _, _, err := b.load(r, "", "-kind", "setup", "-n", "4", "-run", "100ms"); err != nil {
		return err
	}
	time.Sleep(settle)
	before, err := r.usage()
	if err != nil {
		return err
	}
	c, err := b.startClient(r, "", "-kind", "hold", "-n", fmt.Sprint(count), "-from", "127.0.0.77")
	if err != nil {
		return err
	}
	defer c.stop()
	if _, err := c.line(); err != nil {
		return err
	}
	time.Sleep(settle)
	idle, err := r.usage()
	if err != nil {
		return err
	}
	b.data.add(part+" KiB", k.name, float64(idle.Pss-before.Pss)/1024/float64(count))
	b.data.add(part+" files", k.name, float64(idle.Files-before.Files)/float64(count))
	c.stop()
	time.Sleep(settle)
	after, err := r.usage()
	if err != nil {
		return err
	}
	b.data.add(part+" files left", k.name, float64(after.Files-before.Files))
	b.data.add(part+" KiB left", k.name, float64(after.Pss-before.Pss)/1024)
	return nil
}

// starts measures how long commands take from their start to their end.
func (b *bench) starts() {
	once := []string{b.self, "role", "client", "-kind", "once", "-target", b.target.String()}
	allow := "--allow=" + b.target.String()
	commands := map[string][]string{
		"true: bwrap":       {"bwrap", "--dev-bind", "/", "/", "--unshare-net", "true"},
		"true: run bwrap":   {b.sallyport, "run", "--sandbox", "bwrap", "--", "true"},
		"true: run userns":  {b.sallyport, "run", "--sandbox", "userns", "--", "true"},
		"byte: bwrap":       append([]string{"bwrap", "--dev-bind", "/", "/"}, append(once, "-proxy", b.target.String())...),
		"byte: run bwrap":   append([]string{b.sallyport, "run", allow, "--sandbox", "bwrap", "--"}, append(once, "-connect", "-proxy", "env")...),
		"byte: run userns":  append([]string{b.sallyport, "run", allow, "--sandbox", "userns", "--"}, append(once, "-connect", "-proxy", "env")...),
		"byte: no sandbox":  append(once, "-proxy", b.target.String()),
		"true: no sandbox":  {"true"},
		"true: bwrap, full": {"bwrap", "--dev-bind", "/", "/", "--unshare-net", "--unshare-pid", "--unshare-user", "--proc", "/proc", "true"},
	}
	names := slices.Sorted(maps.Keys(commands))
	for i := range pick(b, 5, 50) + 2 {
		for _, name := range names {
			cmd := exec.CommandContext(b.ctx, commands[name][0], commands[name][1:]...)
			cmd.Stderr = os.Stderr
			began := time.Now()
			if err := cmd.Run(); err != nil {
				b.skip(name, err)
				continue
			}
			if i >= 2 { // the first ones read the files
				b.data.add("start ms", name, float64(time.Since(began).Microseconds())/1000)
			}
		}
	}
}

// insides measures what needs no network: the filter, and many proxies in one process.
func (b *bench) insides() {
	if b.wants("filter") {
		for _, n := range []int{10, 1000, 10_000, 100_000, 1_000_000} {
			for range pick(b, 1, 2) {
				var f filterResult
				if err := b.ask(&f, "filter", fmt.Sprint(n)); err != nil {
					b.skip("filter", err)
					continue
				}
				b.data.Filter = append(b.data.Filter, f)
			}
		}
	}
	if b.wants("many") {
		for _, n := range pick(b, []int{1250, 10_000}, []int{1250, 2500, 5000, 10_000}) {
			for range pick(b, 1, 2) {
				var m manyResult
				if err := b.ask(&m, "many", fmt.Sprint(n)); err != nil {
					b.skip("many", err)
					continue
				}
				b.data.Many = append(b.data.Many, m)
			}
		}
	}
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
