// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func thisMachine() machine {
	m := machine{When: time.Now().UTC(), Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.Kernel = firstLine("uname", "-sr")
	m.Commit = "unknown"
	if text, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(text), "model name")
		line, _, _ := strings.Cut(rest, "\n")
		m.CPU = strings.TrimLeft(line, "\t :")
	}
	for _, c := range [][]string{{"haproxy", "-v"}, {"squid", "-v"}, {"tinyproxy", "-v"}, {"bwrap", "--version"}} {
		m.Tools = append(m.Tools, firstLine(c[0], c[1:]...))
	}
	return m
}

// write writes the table to standard output, and all of it to dir if there is one.
func (d *data) write(dir string, readme string) error {
	table := d.markdown()
	fmt.Print(table)
	if dir == "" {
		return nil
	}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	files := map[string]string{"results.md": table, "results.json": string(text) + "\n", "results.svg": d.plot(), "summary.md": d.summary()}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	if readme == "" {
		return nil
	}
	return replaceSummary(readme, d.summary())
}

// render writes the results in dir again, from the figures in it.
func render(dir, readme string) error {
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	d := newData()
	if err := json.Unmarshal(text, d); err != nil {
		return fmt.Errorf("bench: %s/results.json: %w", dir, err)
	}
	return d.write(dir, readme)
}

// markdown gives the tables.
func (d *data) markdown() string {
	var b strings.Builder
	m := d.Machine
	fmt.Fprintf(&b, "# Measured\n\n`%s`, %s, commit %s: %d cores of %s, %s, %s, load before %s, in %s.\n", m.Command,
		m.When.Format(time.DateOnly), m.Commit, m.Cores, m.CPU, m.Kernel, m.Go, m.Load, m.Took)
	fmt.Fprintf(&b, "%s.\n\n", strings.Join(m.Tools, "; "))
	b.WriteString("Medians of interleaved rounds over loopback, the least and the greatest in parentheses. CPU is the proxy's own, all its processes\n" +
		"together. The generator needs the same cores, so compare columns, not with other machines. `direct` has no proxy at all.\n")
	d.goals(&b)
	for _, clients := range []int{1, 32, 256} {
		n := fmt.Sprint(clients)
		d.table(&b, "Tunnels set up, clients: "+n, "setup "+n+" /s", "setup "+n+" CPU µs", "setup "+n+" p50 µs", "setup "+n+" p99 µs")
	}
	for _, direction := range []string{"down", "up"} {
		d.table(&b, "Streams "+direction, direction+" 1 Gbit/s", direction+" 1 CPU s/GB", direction+" 4 Gbit/s", direction+" 4 CPU s/GB",
			direction+" 64 Gbit/s", direction+" 64 CPU s/GB")
	}
	d.table(&b, "Idle tunnels, each", "idle 1000 KiB", "idle 1000 files", "idle 3000 KiB", "idle 9500 KiB", "idle 9500 files",
		"idle 9500 files left", "idle 9500 KiB left")
	d.startTable(&b)
	d.filterTable(&b)
	d.manyTable(&b)
	list(&b, "Not measured", d.NotMeasured)
	list(&b, "Failed", d.Failed)
	return b.String()
}

// list writes a section with one line for each text, if there is any.
func list(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for _, s := range lines {
		fmt.Fprintf(b, "- %s\n", cell(s))
	}
}

// cell makes a text fit into a cell of a table, or into a line.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ", "<", "&lt;", ">", "&gt;").Replace(s)
}

// contestants are the names in the order of the tables.
func contestants() []string {
	names := []string{"direct"}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return append(names, "built-in in bwrap", "built-in in userns")
}

// table writes one table with a column for each figure that was measured.
func (d *data) table(b *strings.Builder, title string, figures ...string) {
	figures = slices.DeleteFunc(slices.Clone(figures), func(f string) bool { return len(d.Values[f]) == 0 })
	if len(figures) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n| | %s |\n|---|%s\n", title, strings.Join(figures, " | "), strings.Repeat("---|", len(figures)))
	for _, who := range contestants() {
		row, any := "| "+who+" |", false
		for _, f := range figures {
			text, ok := d.spread(f, who)
			any = any || ok
			row += " " + text + " |"
		}
		if any {
			b.WriteString(row + "\n")
		}
	}
}

// spread gives the median and, of several values, the least and the greatest.
func (d *data) spread(figure, who string) (string, bool) {
	v, ok := d.median(figure, who)
	text := number(v, ok)
	return text + around(text, d.Values[figure][who]), ok
}

// around prints, in parentheses, the least and the greatest of several values, unless both look like the median.
func around(middle string, all []float64) string {
	if len(all) < 2 {
		return ""
	}
	low, high := number(slices.Min(all), true), number(slices.Max(all), true)
	if low == middle && high == middle {
		return ""
	}
	return " (" + low + "–" + high + ")"
}

// number prints three digits, and all of a large number.
func number(v float64, ok bool) string {
	switch {
	case !ok || math.IsNaN(v) || math.IsInf(v, 0):
		return ""
	case v >= 100 || v <= -100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (d *data) startTable(b *strings.Builder) {
	if len(d.Values["start ms"]) == 0 {
		return
	}
	b.WriteString("\n## Commands, from start to end\n\nms; \"byte\" fetches one byte from the origin, through the proxy where there is one." +
		" CPU is that of all processes.\n\n| | ms | CPU ms |\n|---|---|---|\n")
	for _, who := range slices.Sorted(maps.Keys(d.Values["start ms"])) {
		wall, _ := d.spread("start ms", who)
		cpu, _ := d.spread("start CPU ms", who)
		fmt.Fprintf(b, "| %s | %s | %s |\n", cell(who), wall, cpu)
	}
}

// medians gives one result for each size, the smallest first, whose fields are the medians of those of that size.
func medians[T any](all []T, size func(T) int, fields func(*T) []*float64) []T {
	bySize := map[int][]T{}
	for _, r := range all {
		bySize[size(r)] = append(bySize[size(r)], r)
	}
	var out []T
	for _, n := range slices.Sorted(maps.Keys(bySize)) {
		group := bySize[n]
		one := group[0]
		for i, field := range fields(&one) {
			var values []float64
			for _, r := range group {
				values = append(values, *fields(&r)[i])
			}
			*field, _ = median(values)
		}
		out = append(out, one)
	}
	return out
}

func (d *data) filters() []filterResult {
	return medians(d.Filter, filterResult.size, (*filterResult).fields)
}

func (d *data) manies() []manyResult { return medians(d.Many, manyResult.size, (*manyResult).fields) }

// row writes a line of a table: a size, and of each field the median and the spread of the results of that size.
func row[T any](b *strings.Builder, all []T, one T, size func(T) int, gets ...func(T) float64) {
	fmt.Fprintf(b, "| %d |", size(one))
	for _, get := range gets {
		var values []float64
		for _, r := range all {
			if size(r) == size(one) {
				values = append(values, get(r))
			}
		}
		text := number(get(one), true)
		b.WriteString(" " + text + around(text, values) + " |")
	}
	b.WriteString("\n")
}

func (d *data) filterTable(b *strings.Builder) {
	if len(d.Filter) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## The filter\n\nCPU ns a decision. Recent: %d names, drawn from all of the policy, again and again. Any: %d of them, so that next to nothing\n"+
		"a decision looks at is in a cache; one access to such memory took %s ns here.\n\n", recentNames, anyNames, number(d.memoryWait(), true))
	b.WriteString("| patterns | load ms | bytes a pattern | by name | by wildcard | refused | any: by name | any: by wildcard | any: refused | decisions /s | allocations |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range d.filters() {
		row(b, d.Filter, r, filterResult.size, func(r filterResult) float64 { return r.Load * 1000 },
			func(r filterResult) float64 { return r.PerPattern },
			func(r filterResult) float64 { return r.Recent.Name },
			func(r filterResult) float64 { return r.Recent.Wildcard },
			func(r filterResult) float64 { return r.Recent.Refused },
			func(r filterResult) float64 { return r.Any.Name },
			func(r filterResult) float64 { return r.Any.Wildcard },
			func(r filterResult) float64 { return r.Any.Refused },
			func(r filterResult) float64 { return math.Round(r.DecisionsPerS) },
			func(r filterResult) float64 { return r.Allocations })
	}
}

// memoryWait gives the median of what one access to memory took.
func (d *data) memoryWait() float64 {
	var all []float64
	for _, r := range d.Filter {
		all = append(all, r.MemoryWait)
	}
	m, _ := median(all)
	return m
}

func (d *data) manyTable(b *strings.Builder) {
	if len(d.Many) == 0 {
		return
	}
	b.WriteString("\n## Proxies with a port and a policy of their own in one process\n\n| proxies | start µs | close µs | KiB each | left KiB | left files |\n|---|---|---|---|---|---|\n")
	for _, r := range d.manies() {
		row(b, d.Many, r, manyResult.size, func(r manyResult) float64 { return r.Start },
			func(r manyResult) float64 { return r.Close },
			func(r manyResult) float64 { return r.PerProxy / 1024 },
			func(r manyResult) float64 { return math.Round(r.LeftBytes / 1024) },
			func(r manyResult) float64 { return r.LeftFiles })
	}
}
