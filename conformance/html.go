// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/page"
	"github.com/sallyport-dev/sallyport/conformance/internal/redact"
)

// WriteHTML writes the report as one page that loads nothing and needs no script: a matrix of all
// requirements, and behind every check what was sent and what both witnesses saw. The ids of requirements
// and checks are its anchors: report.html#DENY-002.no-dial.
func (r *Report) WriteHTML(w io.Writer) error {
	r = r.clean()
	p := page.Report{
		Title:   fmt.Sprintf("%s: egress conformance of %s %s", r.Verdict, r.Backend.Name, r.Backend.Version),
		Backend: r.Backend.Name, Version: r.Backend.Version, Spec: r.Spec, Suite: r.Suite,
		Verdict: verdictMark(r.Verdict), Meaning: meaning(r.Verdict),
		Started: r.Started.UTC().Format("2006-01-02 15:04 MST"), Took: took(r.Millis), Host: r.Host.String(),
		Runs: r.runs(), Claimed: names(r.Backend.Claimed), Unclaimed: names(r.Backend.Unclaimed), Restrictions: r.Backend.Restrictions,
		Counts: r.counts(), Legend: legend(), Problems: r.Problems, Areas: r.areas(),
	}
	for _, c := range r.Checks {
		if bad(c.Outcome) || c.Outcome == Known {
			p.Attention = append(p.Attention, pageCheck(c))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Policies)) {
		p.Policies = append(p.Policies, page.Policy{Name: name, Allow: r.Policies[name].Allow, Deny: r.Policies[name].Deny})
	}
	return page.WriteReport(w, redact.Each(p, printable))
}

// String is the host in one line.
func (h HostReport) String() string {
	s := h.OS
	if h.Kernel != "" {
		s += " " + h.Kernel
	}
	return fmt.Sprintf("%s, %s, %d CPUs, %s", s, h.Arch, h.CPUs, h.Go)
}

// runs says how often and in which order the checks ran, "" for once in the order of the specification.
func (r *Report) runs() string {
	var parts []string
	if r.Repeat > 1 {
		parts = append(parts, fmt.Sprintf("%d times, the worst of each", r.Repeat))
	}
	if r.Seed != 0 {
		parts = append(parts, fmt.Sprintf("seed %d", r.Seed))
	}
	return strings.Join(parts, ", ")
}

// outcomes are all of them, what needs attention most first: the worst of several is the first of these.
func outcomes() []Outcome { return []Outcome{Error, Fail, Stale, Known, Pass, Deselected, NA} }

// overall is the outcome of a requirement that has several checks.
func overall(checks []CheckReport) Outcome {
	for _, o := range outcomes() {
		if slices.ContainsFunc(checks, func(c CheckReport) bool { return c.Outcome == o }) {
			return o
		}
	}
	return Error
}

// bad reports whether an outcome is one that a backend ought not to have; an unknown one is.
func bad(o Outcome) bool { return !slices.Contains([]Outcome{Pass, NA, Known, Deselected}, o) }

func outcomeMark(o Outcome) page.Mark {
	m, ok := map[Outcome]page.Mark{
		Pass:       {Symbol: "✓", Word: "pass", Class: "good"},
		Fail:       {Symbol: "✗", Word: "fail", Class: "bad"},
		Error:      {Symbol: "!", Word: "error", Class: "bad"},
		Stale:      {Symbol: "↺", Word: "stale", Class: "bad"},
		Known:      {Symbol: "≈", Word: "known", Class: "odd"},
		NA:         {Symbol: "–", Word: "na", Class: "nothing"},
		Deselected: {Symbol: "○", Word: "deselected", Class: "nothing"},
	}[o]
	if !ok {
		return page.Mark{Symbol: "?", Word: string(o), Class: "bad"}
	}
	return m
}

func verdictMark(v Verdict) page.Mark {
	m, ok := map[Verdict]page.Mark{
		VerdictConformant:    {Symbol: "✓", Word: "conformant", Class: "good"},
		VerdictPartial:       {Symbol: "≈", Word: "partial", Class: "odd"},
		VerdictNotConformant: {Symbol: "✗", Word: "not-conformant", Class: "bad"},
		VerdictInvalid:       {Symbol: "!", Word: "invalid", Class: "bad"},
	}[v]
	if !ok {
		return page.Mark{Symbol: "?", Word: string(v), Class: "bad"}
	}
	return m
}

func meaning(v Verdict) string {
	return map[Verdict]string{
		VerdictConformant:    "Everything that applies was run and passed.",
		VerdictPartial:       "What was run passed, but checks were left out or are known to fail.",
		VerdictNotConformant: "A check failed, or the baseline lists one that does not.",
		VerdictInvalid:       "Checks could not be carried out, or none was. This says nothing of the backend.",
	}[v]
}

func legend() []page.Count {
	var out []page.Count
	for _, o := range []Outcome{Pass, Fail, Error, Known, Stale, NA, Deselected} {
		out = append(out, page.Count{Mark: outcomeMark(o)})
	}
	return out
}

func (r *Report) counts() []page.Count {
	var out []page.Count
	for _, o := range []Outcome{Pass, Fail, Error, Known, Stale, NA, Deselected} {
		if n := r.Count(o); n > 0 {
			out = append(out, page.Count{Mark: outcomeMark(o), N: n})
		}
	}
	return out
}

// areas groups the checks of the report by area and requirement, in the order of the specification; what
// that does not know comes last, by name.
func (r *Report) areas() []page.Area {
	byReq := map[string][]CheckReport{}
	for _, c := range r.Checks {
		byReq[c.Requirement] = append(byReq[c.Requirement], c)
	}
	var out []page.Area
	for _, id := range specOrder(maps.Keys(byReq)) {
		area, number, _ := strings.Cut(id, "-")
		if len(out) == 0 || out[len(out)-1].ID != area {
			out = append(out, page.Area{ID: area, Title: areaTitles()[area]})
		}
		spec := requirements()[id]
		req := page.Requirement{
			ID: id, Number: number, Title: spec.title, Level: spec.level, Scope: spec.scope, Rule: spec.rule, Why: spec.why,
			URL: specURL(spec.anchor), Mark: outcomeMark(overall(byReq[id])),
		}
		for _, c := range byReq[id] {
			req.Checks = append(req.Checks, pageCheck(c))
		}
		last := &out[len(out)-1]
		last.Requirements = append(last.Requirements, req)
	}
	return out
}

// specOrder sorts ids of requirements as the specification does.
func specOrder(ids func(func(string) bool)) []string {
	place := map[string]int{}
	for i, r := range parseSpec(specText) {
		place[r.id] = i + 1
	}
	out := slices.Sorted(ids)
	slices.SortStableFunc(out, func(a, b string) int {
		pa, pb := place[a], place[b]
		if pa == 0 || pb == 0 {
			return pb - pa
		}
		return pa - pb
	})
	return out
}

// areaTitles are the titles of the chapters of SPEC.md: "## DENY: Refusing".
var areaTitles = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for line := range strings.SplitSeq(specText, "\n") {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			area, title, _ := strings.Cut(heading, ": ")
			out[area] = title
		}
	}
	return out
})

// summaries are those of the checks, by id.
var summaries = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for _, c := range Catalog() {
		out[c.ID] = c.Summary
	}
	return out
})

func pageCheck(c CheckReport) page.Check {
	_, name, _ := strings.Cut(c.ID, ".")
	out := page.Check{
		ID: c.ID, Name: name, Summary: summaries()[c.ID], Reason: c.Reason, Log: c.Log,
		Mark: outcomeMark(c.Outcome), Open: bad(c.Outcome),
	}
	if c.Outcome != NA && c.Outcome != Deselected {
		out.Took = took(c.Millis)
	}
	if len(c.In) > 0 {
		out.In = "run " + strings.Trim(strings.ReplaceAll(fmt.Sprint(c.In), " ", ", "), "[]")
	}
	for _, f := range c.Findings {
		out.Findings = append(out.Findings, page.Finding{Kind: f.Kind, Text: f.Text})
	}
	for _, l := range c.Evidence {
		out.Lines = append(out.Lines, page.Line{Label: l.Label, Text: l.Text})
	}
	return out
}

func took(millis int64) string { return (time.Duration(millis) * time.Millisecond).String() }

func names(all []Feature) []string {
	out := make([]string, len(all))
	for i, f := range all {
		out[i] = string(f)
	}
	return out
}
