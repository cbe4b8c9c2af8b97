// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
)

// SpecVersion is the version of SPEC.md this suite checks. It changes when requirements do, not when a
// check is mended.
const SpecVersion = "0.1"

//go:embed SPEC.md
var specText string

// CheckInfo describes one check. ID and Requirement never change their meaning.
type CheckInfo struct {
	ID          string   `json:"id"`
	Requirement string   `json:"requirement"`
	Title       string   `json:"title"`
	Level       string   `json:"level"`
	Scope       string   `json:"scope"`
	Since       string   `json:"since"`
	Summary     string   `json:"summary"`
	Needs       []string `json:"needs,omitempty"`
	Unclaimed   string   `json:"unclaimed,omitempty"`
	Slow        bool     `json:"slow,omitempty"`
	// Seen are public issues and advisories in which the opposite of the requirement was seen.
	Seen []string `json:"seen,omitempty"`
	// Rule is the text of the requirement, Why its reason; Anchor is its place in SPEC.md.
	Rule   string `json:"-"`
	Why    string `json:"-"`
	Anchor string `json:"anchor"`
}

// Catalog returns every check, in the order of the specification.
func Catalog() []CheckInfo {
	spec := requirements()
	var out []CheckInfo
	for _, c := range checks.All() {
		r := spec[c.Requirement()]
		out = append(out, CheckInfo{
			ID: c.ID, Requirement: c.Requirement(), Title: r.title, Level: r.level, Scope: r.scope, Since: r.since,
			Summary: c.Summary, Needs: c.Needs, Unclaimed: c.Unclaimed, Slow: c.Slow, Seen: r.seen, Rule: r.rule, Why: r.why, Anchor: r.anchor,
		})
	}
	return out
}

// requirement is one section of SPEC.md.
type requirement struct {
	id, title, level, scope, since, rule, why, anchor string
	checks, seen                                      []string
}

var requirements = sync.OnceValue(func() map[string]requirement {
	out := map[string]requirement{}
	for _, r := range parseSpec(specText) {
		out[r.id] = r
	}
	return out
})

// parseSpec reads the requirements of SPEC.md: a heading, a line of attributes, the rule, why, the checks.
func parseSpec(text string) []requirement {
	var out []requirement
	for _, section := range strings.Split("\n"+text, "\n### ")[1:] {
		section, _, _ = strings.Cut(section, "\n## ")
		heading, body, _ := strings.Cut(section, "\n")
		id, title, _ := strings.Cut(heading, " ")
		r := requirement{id: id, title: title, anchor: anchor(heading)}
		for _, para := range strings.Split(body, "\n\n") {
			para = strings.TrimSpace(para)
			switch {
			case strings.HasPrefix(para, "**"):
				attr := strings.Split(para, " · ")
				if len(attr) == 3 {
					r.level = strings.Trim(attr[0], "*")
					r.scope = strings.ReplaceAll(attr[1], "`", "")
					r.since = strings.TrimPrefix(attr[2], "since ")
				}
			case strings.HasPrefix(para, "*Why:*"):
				r.why = oneLine(strings.TrimPrefix(para, "*Why:*"))
			case strings.HasPrefix(para, "*Seen:*"):
				r.seen = strings.Split(oneLine(strings.TrimPrefix(para, "*Seen:*")), ", ")
			case strings.HasPrefix(para, "*Checks:*"):
				for _, c := range strings.Split(oneLine(strings.TrimPrefix(para, "*Checks:*")), ", ") {
					r.checks = append(r.checks, strings.Trim(c, "`"))
				}
			case para != "" && r.rule == "":
				r.rule = oneLine(para)
			}
		}
		out = append(out, r)
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// anchor makes of a heading what the usual renderers of Markdown make of it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.ToLower(heading))
}
