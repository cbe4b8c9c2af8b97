// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"strings"
)

// goal is one line of the table of goals.
type goal struct {
	what string
	want string
	most float64 // what the figure may be at most, or
	min  float64 // must be at least
	get  func(d *data) (float64, bool)
}

// ratio divides two medians.
func ratio(figure, who, by string) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		a, ok1 := d.median(figure, who)
		b, ok2 := d.median(figure, by)
		return a / b, ok1 && ok2 && b != 0
	}
}

func value(figure, who string) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) { return d.median(figure, who) }
}

// best divides our figure by the lowest of the CONNECT proxies'.
func best(figure string) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		low := math.Inf(1)
		for _, k := range kinds {
			if v, ok := d.median(figure, k.name); ok && k.connect && k.program != "" {
				low = min(low, v)
			}
		}
		ours, ok := d.median(figure, "built-in")
		return ours / low, ok && !math.IsInf(low, 1)
	}
}

// largest gives a figure of the filter or of many proxies at the largest number measured.
func largestFilter(get func(filterResult) float64) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		f := d.filters()
		if len(f) == 0 {
			return 0, false
		}
		return get(f[len(f)-1]), true
	}
}

func largestMany(get func(manyResult) float64) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		m := d.manies()
		if len(m) == 0 {
			return 0, false
		}
		return get(m[len(m)-1]), true
	}
}

// growth gives the most that a cost a piece grew by between the smallest and the largest number.
func growth(figure, who string, small, large int) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		a, ok1 := d.median(fmt.Sprintf(figure, small), who)
		b, ok2 := d.median(fmt.Sprintf(figure, large), who)
		return b / a, ok1 && ok2 && a != 0
	}
}

var goals = []goal{
	{what: "CPU per set-up, 32 clients, against HAProxy", want: "≤ 1.25 ×", most: 1.25, get: ratio("setup 32 CPU µs", "built-in", "haproxy")},
	{what: "the same against the best CONNECT proxy", want: "< 1 ×", most: 1, get: best("setup 32 CPU µs")},
	{what: "throughput, 4 streams down, against HAProxy", want: "≥ 1.15 ×", min: 1.15, get: ratio("down 4 Gbit/s", "built-in", "haproxy")},
	{what: "CPU per GB, 4 streams down, against HAProxy", want: "≤ 0.45 ×", most: 0.45, get: ratio("down 4 CPU s/GB", "built-in", "haproxy")},
	{what: "throughput, 4 streams up, against HAProxy", want: "≥ 1.15 ×", min: 1.15, get: ratio("up 4 Gbit/s", "built-in", "haproxy")},
	{what: "CPU per GB, 4 streams up, against HAProxy", want: "≤ 0.45 ×", most: 0.45, get: ratio("up 4 CPU s/GB", "built-in", "haproxy")},
	{what: "idle tunnel at 9,500, KiB", want: "≤ 3", most: 3, get: value("idle 9500 KiB", "built-in")},
	{what: "idle tunnel at 9,500, descriptors", want: "2", most: 2.0005, get: value("idle 9500 files", "built-in")},
	{what: "descriptors left after them", want: "0", most: 0.5, get: value("idle 9500 files left", "built-in")},
	{what: "set-ups from inside bwrap, against outside", want: "≥ 0.95 ×", min: 0.95, get: ratio("setup 32 /s", "built-in in bwrap", "built-in")},
	{what: "set-ups from inside our own namespaces", want: "≥ 0.95 ×", min: 0.95, get: ratio("setup 32 /s", "built-in in userns", "built-in")},
	{what: "throughput from inside bwrap, 4 down", want: "≥ 0.95 ×", min: 0.95, get: ratio("down 4 Gbit/s", "built-in in bwrap", "built-in")},
	{what: "throughput from inside our own namespaces", want: "≥ 0.95 ×", min: 0.95, get: ratio("down 4 Gbit/s", "built-in in userns", "built-in")},
	{what: "`sallyport run -- true` in bwrap, against bare bwrap", want: "≤ 2.5 ×", most: 2.5, get: ratio("start ms", "true: run bwrap", "true: bwrap")},
	{what: "`sallyport run --sandbox userns -- true`", want: "≤ 2.5 ×", most: 2.5, get: ratio("start ms", "true: run userns", "true: bwrap")},
	{what: "filter at 1,000,000: admitted by name, ns", want: "< 150", most: 150, get: largestFilter(func(r filterResult) float64 { return r.Recent.Name })},
	{what: "filter at 1,000,000: by wildcard, ns", want: "< 150", most: 150, get: largestFilter(func(r filterResult) float64 { return r.Recent.Wildcard })},
	{what: "filter at 1,000,000: refused, ns", want: "< 150", most: 150, get: largestFilter(func(r filterResult) float64 { return r.Recent.Refused })},
	{what: "filter: allocations a decision", want: "0", get: largestFilter(func(r filterResult) float64 { return r.Allocations }), most: 0.5},
	{what: "filter: bytes a pattern", want: "≤ 100", most: 100, get: largestFilter(func(r filterResult) float64 { return r.PerPattern })},
	{what: "filter: 1,000,000 loaded, s", want: "< 1.5", most: 1.5, get: largestFilter(func(r filterResult) float64 { return r.Load })},
	{what: "one of 10,000 proxies: start and close, µs", want: "< 100", most: 100, get: largestMany(func(r manyResult) float64 { return r.Start + r.Close })},
	{what: "one of 10,000 proxies: KiB while idle", want: "< 8", most: 8, get: largestMany(func(r manyResult) float64 { return r.PerProxy / 1024 })},
	{what: "growth: an idle tunnel at 9,500 against one at 1,000", want: "≤ 1 ×", most: 1.05, get: growth("idle %d KiB", "built-in", 1000, 9500)},
	{what: "growth: CPU per GB with 64 streams against 4, down", want: "≤ 1 ×", most: 1.05, get: growth("down %d CPU s/GB", "built-in", 4, 64)},
}

// goals writes the goals beside what was reached.
func (d *data) goals(b *strings.Builder) {
	b.WriteString("\n## The goals\n\n| | goal | measured | |\n|---|---|---|---|\n")
	for _, g := range goals {
		v, ok := g.get(d)
		if !ok {
			continue
		}
		verdict := "reached"
		if g.most != 0 && v > g.most || g.min != 0 && v < g.min {
			verdict = "**missed**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", g.what, g.want, number(v, true), verdict)
	}
}
