// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// The table in a README stands between these lines, which stay.
const (
	summaryBegin = "<!-- written by ./scripts/bench -->"
	summaryEnd   = "<!-- end of what ./scripts/bench writes -->"
)

// summary gives the main figures, for a README.
func (d *data) summary() string {
	columns := []struct{ title, figure string }{
		{"CPU per set-up, µs", "setup 32 CPU µs"}, {"set-ups a second", "setup 32 /s"}, {"Gbit/s, 4 streams down", "down 4 Gbit/s"},
		{"CPU s per GB", "down 4 CPU s/GB"}, {"KiB an idle tunnel", "idle 9500 KiB"},
	}
	var b strings.Builder
	b.WriteString("| |")
	for _, c := range columns {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, who := range contestants()[1:] {
		row, any := "| "+who+" |", false
		for _, c := range columns {
			v, ok := d.median(c.figure, who)
			any = any || ok
			row += " " + number(v, ok) + " |"
		}
		if any {
			b.WriteString(row + "\n")
		}
	}
	m := d.Machine
	fmt.Fprintf(&b, "\n`%s` on %d cores of %s, %s, %s, %s: medians; an empty cell was not measured. The whole, with the spread and\nthe goals, is in [results.md](%s/results.md), how it was measured in [scripts/benchmarks](%s).\n",
		m.Command, m.Cores, m.CPU, m.Kernel, m.Go, m.When.Format(time.DateOnly), resultsDir, benchmarksDir)
	return b.String()
}

// Where the results are, from the root of the repository.
const (
	benchmarksDir = "scripts/benchmarks"
	resultsDir    = benchmarksDir + "/results"
)

// replaceSummary puts a summary between the markers of a file.
func replaceSummary(path, summary string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	before, _, after, ok := cutSummary(string(text))
	if !ok {
		return fmt.Errorf("bench: %s has no line %q with %q after it: write them where the table is to be", path, summaryBegin, summaryEnd)
	}
	if err := os.WriteFile(path, []byte(before+summary+after), 0o644); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// cutSummary splits a text at what stands between the markers; the markers stay with the rest.
func cutSummary(text string) (before, summary, after string, ok bool) {
	before, rest, ok1 := strings.Cut(text, summaryBegin+"\n")
	summary, after, ok2 := strings.Cut(rest, summaryEnd)
	return before + summaryBegin + "\n", summary, summaryEnd + after, ok1 && ok2
}
