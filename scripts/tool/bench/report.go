// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func thisMachine() machine {
	m := machine{When: time.Now().UTC(), Cores: runtime.NumCPU(), Go: runtime.Version()}
	m.Kernel = firstLine("uname", "-sr")
	m.Commit = firstLine("git", "describe", "--always", "--dirty")
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
func (d *data) write(dir string, quick bool) error {
	table := d.markdown(quick)
	fmt.Print(table)
	if dir == "" {
		return nil
	}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	files := map[string]string{"results.md": table, "results.json": string(text) + "\n", "results.svg": d.plot()}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	return nil
}

// markdown gives the tables.
func (d *data) markdown(quick bool) string {
	var b strings.Builder
	m := d.Machine
	command := "./scripts/bench"
	if quick {
		command += " --quick"
	}
	fmt.Fprintf(&b, "# Measured\n\n`%s`, %s, commit %s: %d cores of %s, %s, %s, load before %s, in %s.\n", command,
		m.When.Format(time.DateOnly), m.Commit, m.Cores, m.CPU, m.Kernel, m.Go, m.Load, m.Took)
	fmt.Fprintf(&b, "%s.\nMedians of interleaved rounds over loopback; CPU is the proxy's own, all its processes together. \n", strings.Join(m.Tools, "; "))
	b.WriteString("The generator needs the same cores, so compare columns, not with other machines. `direct` has no proxy at all.\n")
	d.goals(&b)
	d.table(&b, "Tunnels set up", "setup 1 /s", "setup 1 CPU µs", "setup 1 p50 µs", "setup 1 p99 µs", "setup 32 /s", "setup 32 CPU µs",
		"setup 32 p50 µs", "setup 32 p99 µs", "setup 256 /s", "setup 256 CPU µs", "setup 256 p50 µs", "setup 256 p99 µs")
	for _, direction := range []string{"down", "up"} {
		d.table(&b, "Streams "+direction, direction+" 1 Gbit/s", direction+" 1 CPU s/GB", direction+" 4 Gbit/s", direction+" 4 CPU s/GB",
			direction+" 64 Gbit/s", direction+" 64 CPU s/GB")
	}
	d.table(&b, "Idle tunnels, each", "idle 1000 KiB", "idle 1000 files", "idle 3000 KiB", "idle 9500 KiB", "idle 9500 files",
		"idle 9500 files left", "idle 9500 KiB left")
	d.startTable(&b)
	d.filterTable(&b)
	d.manyTable(&b)
	if len(d.Skipped) > 0 {
		b.WriteString("\n## Not measured\n\n")
		for _, s := range d.Skipped {
			fmt.Fprintf(&b, "- %s\n", s)
		}
	}
	return b.String()
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
			v, ok := d.median(f, who)
			any = any || ok
			row += " " + number(v, ok) + " |"
		}
		if any {
			b.WriteString(row + "\n")
		}
	}
}

// number prints three digits, and all of a large number.
func number(v float64, ok bool) string {
	switch {
	case !ok:
		return ""
	case v >= 100 || v <= -100 || v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (d *data) startTable(b *strings.Builder) {
	if len(d.Values["start ms"]) == 0 {
		return
	}
	b.WriteString("\n## Commands, from start to end\n\nms; \"byte\" fetches one byte from the origin, through the proxy where there is one.\n\n| | ms |\n|---|---|\n")
	names := []string{}
	for who := range d.Values["start ms"] {
		names = append(names, who)
	}
	slices.Sort(names)
	for _, who := range names {
		v, ok := d.median("start ms", who)
		fmt.Fprintf(b, "| %s | %s |\n", who, number(v, ok))
	}
}

// middle gives, of the results with the same size, the one in the middle by less.
func middle[T any](all []T, size func(T) int, less func(T) float64) []T {
	sizes := map[int][]T{}
	order := []int{}
	for _, r := range all {
		if sizes[size(r)] == nil {
			order = append(order, size(r))
		}
		sizes[size(r)] = append(sizes[size(r)], r)
	}
	var out []T
	for _, n := range order {
		group := sizes[n]
		slices.SortFunc(group, func(a, b T) int {
			switch d := less(a) - less(b); {
			case d < 0:
				return -1
			case d > 0:
				return 1
			}
			return 0
		})
		out = append(out, group[len(group)/2])
	}
	return out
}

func (d *data) filters() []filterResult {
	return middle(d.Filter, func(r filterResult) int { return r.Patterns }, func(r filterResult) float64 { return r.Recent.mean() })
}

func (d *data) manies() []manyResult {
	return middle(d.Many, func(r manyResult) int { return r.Proxies }, func(r manyResult) float64 { return r.Start + r.Close })
}

func (d *data) filterTable(b *strings.Builder) {
	if len(d.Filter) == 0 {
		return
	}
	b.WriteString("\n## The filter\n\n| patterns | load ms | bytes a pattern | admitted by name ns | by wildcard ns | refused ns | decisions /s | allocations |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range d.filters() {
		fmt.Fprintf(b, "| %d | %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", r.Patterns, number(r.Load*1000, true), r.PerPattern, r.Recent.Name, r.Recent.Wildcard, r.Recent.Refused, r.DecisionsPerS, r.Allocations)
	}
}

func (d *data) manyTable(b *strings.Builder) {
	if len(d.Many) == 0 {
		return
	}
	b.WriteString("\n## Proxies with a port and a policy of their own in one process\n\n| proxies | start µs | close µs | KiB each | left KiB | left files |\n|---|---|---|---|---|---|\n")
	for _, r := range d.manies() {
		fmt.Fprintf(b, "| %d | %s | %s | %.1f | %d | %d |\n", r.Proxies, number(r.Start, true), number(r.Close, true), r.PerProxy/1024, r.LeftBytes/1024, r.LeftFiles)
	}
}
