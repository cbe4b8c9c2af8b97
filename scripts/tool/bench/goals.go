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
	// rounds gives the same of each round; nil where rounds have nothing to do with one another.
	rounds func(d *data) []float64
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

// largestFilter and largestMany give a figure of the filter or of many proxies at the largest number measured.
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

// growth gives by how much a cost a piece grew between the smaller and the larger number.
func growth(figure, who string, small, large int) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		a, ok1 := d.median(fmt.Sprintf(figure, small), who)
		b, ok2 := d.median(fmt.Sprintf(figure, large), who)
		return b / a, ok1 && ok2 && a != 0
	}
}

// filterGrowth and manyGrowth are growth between so many patterns, or proxies, and the most that were measured.
func filterGrowth(small int, get func(filterResult) float64) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		return sizeGrowth(d.filters(), small, filterResult.size, get)
	}
}

func manyGrowth(small int, get func(manyResult) float64) func(*data) (float64, bool) {
	return func(d *data) (float64, bool) {
		return sizeGrowth(d.manies(), small, manyResult.size, get)
	}
}

func sizeGrowth[T any](all []T, small int, size func(T) int, get func(T) float64) (float64, bool) {
	for _, r := range all {
		if last := all[len(all)-1]; size(r) == small && size(last) > small && get(r) != 0 {
			return get(last) / get(r), true
		}
	}
	return 0, false
}

var goals = []goal{
	{what: "CPU per set-up, 32 clients, against HAProxy", want: "≤ 1.25 ×", most: 1.25, get: ratio("setup 32 CPU µs", "built-in", "haproxy"), rounds: roundsOf("setup 32 CPU µs", "built-in", "haproxy")},
	{what: "the same against the best CONNECT proxy", want: "< 1 ×", most: 1, get: best("setup 32 CPU µs")},
	{what: "throughput, 4 streams down, against HAProxy", want: "≥ 1.15 ×", min: 1.15, get: ratio("down 4 Gbit/s", "built-in", "haproxy"), rounds: roundsOf("down 4 Gbit/s", "built-in", "haproxy")},
	{what: "CPU per GB, 4 streams down, against HAProxy", want: "≤ 0.45 ×", most: 0.45, get: ratio("down 4 CPU s/GB", "built-in", "haproxy"), rounds: roundsOf("down 4 CPU s/GB", "built-in", "haproxy")},
	{what: "throughput, 4 streams up, against HAProxy", want: "≥ 1.15 ×", min: 1.15, get: ratio("up 4 Gbit/s", "built-in", "haproxy"), rounds: roundsOf("up 4 Gbit/s", "built-in", "haproxy")},
	{what: "CPU per GB, 4 streams up, against HAProxy", want: "≤ 0.45 ×", most: 0.45, get: ratio("up 4 CPU s/GB", "built-in", "haproxy"), rounds: roundsOf("up 4 CPU s/GB", "built-in", "haproxy")},
	{what: "idle tunnel at 9,500, KiB", want: "≤ 3", most: 3, get: value("idle 9500 KiB", "built-in")},
	{what: "idle tunnel at 9,500, descriptors", want: "2", most: 2.0005, get: value("idle 9500 files", "built-in")},
	{what: "descriptors left after them", want: "0", most: 0.5, get: value("idle 9500 files left", "built-in")},
	{what: "set-ups from inside bwrap, against outside", want: "≥ 0.95 ×", min: 0.95, get: ratio("setup 32 /s", "built-in in bwrap", "built-in"), rounds: roundsOf("setup 32 /s", "built-in in bwrap", "built-in")},
	{what: "set-ups from inside our own namespaces", want: "≥ 0.95 ×", min: 0.95, get: ratio("setup 32 /s", "built-in in userns", "built-in"), rounds: roundsOf("setup 32 /s", "built-in in userns", "built-in")},
	{what: "throughput from inside bwrap, 4 down", want: "≥ 0.95 ×", min: 0.95, get: ratio("down 4 Gbit/s", "built-in in bwrap", "built-in"), rounds: roundsOf("down 4 Gbit/s", "built-in in bwrap", "built-in")},
	{what: "throughput from inside our own namespaces", want: "≥ 0.95 ×", min: 0.95, get: ratio("down 4 Gbit/s", "built-in in userns", "built-in"), rounds: roundsOf("down 4 Gbit/s", "built-in in userns", "built-in")},
	{what: "`sallyport run -- true` in bwrap, against bare bwrap", want: "≤ 2.5 ×", most: 2.5, get: ratio("start ms", "true: run bwrap", "true: bwrap"), rounds: roundsOf("start ms", "true: run bwrap", "true: bwrap")},
	{what: "`sallyport run --sandbox userns -- true`", want: "≤ 2.5 ×", most: 2.5, get: ratio("start ms", "true: run userns", "true: bwrap"), rounds: roundsOf("start ms", "true: run userns", "true: bwrap")},
	{what: "filter at 1,000,000: admitted by name, ns", want: "< 150", most: 150, get: largestFilter(func(r filterResult) float64 { return r.Recent.Name }), rounds: roundsFilter(func(r filterResult) float64 { return r.Recent.Name })},
	{what: "filter at 1,000,000: by wildcard, ns", want: "< 150", most: 150, get: largestFilter(func(r filterResult) float64 { return r.Recent.Wildcard }), rounds: roundsFilter(func(r filterResult) float64 { return r.Recent.Wildcard })},
	{what: "filter at 1,000,000: refused, ns", want: "< 150", most: 150, get: largestFilter(func(r filterResult) float64 { return r.Recent.Refused }), rounds: roundsFilter(func(r filterResult) float64 { return r.Recent.Refused })},
	{what: "filter: allocations a decision", want: "0", get: largestFilter(func(r filterResult) float64 { return r.Allocations }), rounds: roundsFilter(func(r filterResult) float64 { return r.Allocations }), most: 0.5},
	{what: "filter: bytes a pattern", want: "≤ 100", most: 100, get: largestFilter(func(r filterResult) float64 { return r.PerPattern }), rounds: roundsFilter(func(r filterResult) float64 { return r.PerPattern })},
	{what: "filter: 1,000,000 loaded, s", want: "< 1.5", most: 1.5, get: largestFilter(func(r filterResult) float64 { return r.Load }), rounds: roundsFilter(func(r filterResult) float64 { return r.Load })},
	{what: "one of 10,000 proxies: start and close, µs", want: "< 100", most: 100, get: largestMany(func(r manyResult) float64 { return r.Start + r.Close }), rounds: roundsMany(func(r manyResult) float64 { return r.Start + r.Close })},
	{what: "one of 10,000 proxies: KiB while idle", want: "< 8", most: 8, get: largestMany(func(r manyResult) float64 { return r.PerProxy / 1024 }), rounds: roundsMany(func(r manyResult) float64 { return r.PerProxy / 1024 })},
	{what: "growth: CPU per set-up with 256 clients against 32", want: "≤ 1.05 ×", most: 1.05, get: growth("setup %d CPU µs", "built-in", 32, 256)},
	{what: "growth: CPU per GB with 64 streams against 4, down", want: "≤ 1.05 ×", most: 1.05, get: growth("down %d CPU s/GB", "built-in", 4, 64)},
	{what: "growth: CPU per GB with 64 streams against 4, up", want: "≤ 1.05 ×", most: 1.05, get: growth("up %d CPU s/GB", "built-in", 4, 64)},
	{what: "growth: an idle tunnel at 9,500 against one at 1,000", want: "≤ 1.05 ×", most: 1.05, get: growth("idle %d KiB", "built-in", 1000, 9500)},
	{what: "growth: bytes a pattern, 1,000,000 against 10,000", want: "≤ 1.05 ×", most: 1.05, get: filterGrowth(10_000, func(r filterResult) float64 { return r.PerPattern })},
	{what: "growth: CPU to load a pattern, 1,000,000 against 10,000", want: "≤ 1.05 ×", most: 1.05, get: filterGrowth(10_000, func(r filterResult) float64 { return r.LoadCPU / float64(r.Patterns) })},
	{what: "growth: starting and closing a proxy, 10,000 against 1,250", want: "≤ 1.05 ×", most: 1.05, get: manyGrowth(1250, func(r manyResult) float64 { return r.Start + r.Close })},
	{what: "growth: memory of a proxy, 10,000 against 1,250", want: "≤ 1.05 ×", most: 1.05, get: manyGrowth(1250, func(r manyResult) float64 { return r.PerProxy })},
}

// verdict says whether a figure reaches the goal.
func (g goal) verdict(v float64) string {
	if math.IsNaN(v) || g.most != 0 && v > g.most || g.min != 0 && v < g.min {
		return "**missed**"
	}
	return "reached"
}

// goals writes the goals beside what was reached.
func (d *data) goals(b *strings.Builder) {
	b.WriteString("\n## The goals\n\nThe least and the greatest of the rounds are in parentheses where rounds can be compared.\n\n| | goal | measured | |\n|---|---|---|---|\n")
	for _, g := range goals {
		v, ok := g.get(d)
		if !ok {
			fmt.Fprintf(b, "| %s | %s | | not measured |\n", g.what, g.want)
			continue
		}
		text := number(v, true)
		if g.rounds != nil {
			text += around(text, g.rounds(d))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", g.what, g.want, text, g.verdict(v))
	}
}

// roundsFilter and roundsMany give the figure of each round at the largest number measured.
func roundsFilter(get func(filterResult) float64) func(*data) []float64 {
	return func(d *data) []float64 { return largestRounds(d.Filter, filterResult.size, get) }
}

func roundsMany(get func(manyResult) float64) func(*data) []float64 {
	return func(d *data) []float64 { return largestRounds(d.Many, manyResult.size, get) }
}

func largestRounds[T any](all []T, size func(T) int, get func(T) float64) (values []float64) {
	most := 0
	for _, r := range all {
		most = max(most, size(r))
	}
	for _, r := range all {
		if size(r) == most {
			values = append(values, get(r))
		}
	}
	return values
}

// roundsOf gives the ratio of each round, in which both were measured one soon after the other.
func roundsOf(figure, who, by string) func(*data) []float64 {
	return func(d *data) []float64 {
		a, b := d.Values[figure][who], d.Values[figure][by]
		if len(a) != len(b) {
			return nil
		}
		var all []float64
		for i := range a {
			if b[i] != 0 {
				all = append(all, a[i]/b[i])
			}
		}
		return all
	}
}
