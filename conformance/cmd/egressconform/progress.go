// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/mutant"
)

// progress shows how a run goes: a line that changes on a terminal, else a line now and then; and the text of
// every failure as soon as it is there.
type progress struct {
	app   *app
	flags *runFlags
	out   io.Writer // for the failures

	done, bad, total int

	// told has the first check that could not be carried out for a reason: a proxy that does not start keeps all of
	// them from being carried out, and is told of once.
	told map[string]string
}

// every is how many checks there are between two lines, when standard error is no terminal.
const every = 50

// begin says what is claimed, since that decides what is tested.
func (p *progress) begin(b conformance.Backend) {
	var names []string
	for _, f := range b.Features.List() {
		names = append(names, string(f))
	}
	fmt.Fprintf(p.app.stderr, "%s: claims %s\n", strings.TrimSpace(b.Name+" "+b.Version), strings.Join(names, ", "))
}

func (p *progress) one(c conformance.CheckReport) {
	p.done++
	switch c.Outcome {
	case conformance.Fail, conformance.Error, conformance.Stale:
		p.bad++
		p.clear()
		if first := p.first(c); first != c.ID {
			fmt.Fprintf(p.out, "ERROR %s: as %s\n\n", c.ID, first)
			break
		}
		fmt.Fprintln(p.out, p.text(c))
	case conformance.Deselected, conformance.NA:
	default:
		if p.flags.trace {
			p.clear()
			fmt.Fprintln(p.out, c.Text())
		}
	}
	switch {
	case terminal(p.app.stderr):
		fmt.Fprintf(p.app.stderr, "\r\033[K%d/%d  %d not ok  %s", p.done, p.total, p.bad, c.ID)
	case p.done%every == 0:
		fmt.Fprintf(p.app.stderr, "%d of %d checks, %d not ok\n", p.done, p.total, p.bad)
	}
}

// first returns the check whose text says all there is to say of c.
func (p *progress) first(c conformance.CheckReport) string {
	if c.Outcome != conformance.Error {
		return c.ID
	}
	if id, told := p.told[c.Reason]; told {
		return id
	}
	if p.told == nil {
		p.told = map[string]string{}
	}
	p.told[c.Reason] = c.ID
	return c.ID
}

// clear makes way on a terminal.
func (p *progress) clear() {
	if terminal(p.app.stderr) {
		fmt.Fprint(p.app.stderr, "\r\033[K")
	}
}

func (p *progress) end() { p.clear() }

// text is the record of what is not ok, with what a reader wants next.
func (p *progress) text(c conformance.CheckReport) string {
	text := c.Text()
	add := func(label, body string) { text += fmt.Sprintf("  %-8s %s\n", label, body) }
	if c.Outcome == conformance.Fail && len(c.Findings) > 0 {
		if l := likely(c.ID, c.Findings[0].Kind); l != "" {
			add("Likely", l)
		}
	}
	lines := strings.Split(strings.TrimSpace(c.Log), "\n")
	if n := len(lines); n > logLines {
		lines = lines[n-logLines:]
	}
	for _, l := range lines {
		if l != "" {
			add("Log", l)
		}
	}
	add("Again", p.flags.again(p.app.program, c.ID))
	return text
}

// logLines is how much of what the proxy said goes with a failure; the reports have more.
const logLines = 8

// likely names the faults of the reference proxy for which this check is the one that is named, by the same witness.
func likely(id, kind string) string {
	var faults []string
	for _, m := range mutant.Table() {
		if m.Check == id && string(m.Kind) == kind && !slices.Contains(faults, string(m.Fault)) {
			faults = append(faults, string(m.Fault))
		}
	}
	if len(faults) == 0 {
		return ""
	}
	return strings.Join(faults, ", or ") + " (a known fault with the same evidence)"
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
