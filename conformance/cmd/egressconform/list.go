// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/mutant"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

func (a *app) printJSON(v any) int {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return a.invalid(err)
	}
	return exitOK
}

func (a *app) printVersion(v string, asJSON bool) int {
	if asJSON {
		return a.printJSON(map[string]any{"version": v, "spec": conformance.SpecVersion, "checks": len(conformance.Catalog())})
	}
	fmt.Fprintf(a.stdout, "egressconform %s, specification %s, %d checks\n", v, conformance.SpecVersion, len(conformance.Catalog()))
	return exitOK
}

// list is the command list.
func (a *app) list(args []string) int {
	f := a.flags("list")
	asJSON := f.Bool("json", false, "print JSON")
	patterns := f.StringArray("run", nil, "only checks whose id matches the `pattern` (DENY, DENY-002, DENY-00*.status)")
	features := f.StringSlice("features", nil, "only checks that apply to a backend with these `features`")
	known := f.Bool("features-known", false, "list the features instead")
	policies := f.Bool("policies", false, "list the policies instead, for --fixed-policy")
	if done, status := a.parse(f, args); done {
		return status
	}
	switch {
	case f.NArg() > 0:
		return a.wrong(fmt.Errorf("list: what is %q for? Patterns go behind --run", f.Arg(0)))
	case *known:
		return a.listFeatures(*asJSON)
	case *policies:
		return a.listPolicies(*asJSON)
	}
	var claims []conformance.Feature
	for _, name := range *features {
		claims = append(claims, conformance.Feature(name))
	}
	all, err := choose(*patterns, claims)
	if err != nil {
		return a.wrong(err)
	}
	if *asJSON {
		return a.printJSON(all)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, c.Level, applies(c), c.Summary)
	}
	if err := w.Flush(); err != nil {
		return a.invalid(err)
	}
	return exitOK
}

// applies says what a backend must claim, in a word or two.
func applies(c conformance.CheckInfo) string {
	switch {
	case c.Unclaimed != "":
		return "without " + c.Unclaimed
	case len(c.Needs) > 0:
		return strings.Join(c.Needs, "+")
	}
	return "core"
}

// choose is the part of the catalogue that is asked for.
func choose(patterns []string, claims []conformance.Feature) ([]conformance.CheckInfo, error) {
	b := conformance.Backend{Name: "-", Features: conformance.Features(append(claims, conformance.TCP)...), Start: never}
	if err := conformance.Validate(b, conformance.Select(patterns...)); err != nil {
		return nil, err
	}
	has := func(f string) bool { return slices.Contains(claims, conformance.Feature(f)) }
	var out []conformance.CheckInfo
	for _, c := range conformance.Catalog() {
		match := len(patterns) == 0
		for _, p := range patterns {
			match = match || conformance.Matches(p, c.ID)
		}
		if len(claims) > 0 && (slices.ContainsFunc(c.Needs, func(f string) bool { return !has(f) }) || has(c.Unclaimed)) {
			continue
		}
		if match {
			out = append(out, c)
		}
	}
	return out, nil
}

func (a *app) listFeatures(asJSON bool) int {
	if asJSON {
		return a.printJSON(conformance.AllFeatures())
	}
	for _, f := range conformance.AllFeatures() {
		fmt.Fprintln(a.stdout, f)
	}
	return exitOK
}

func (a *app) listPolicies(asJSON bool) int {
	all := vectors.Policies()
	if asJSON {
		return a.printJSON(all)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(a.stdout, "# %s\n", name)
		for _, line := range all[name].Allow {
			fmt.Fprintln(a.stdout, line)
		}
		for _, line := range all[name].Deny {
			fmt.Fprintln(a.stdout, "deny "+line)
		}
	}
	return exitOK
}

// requirement is what explain prints of one.
type requirement struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Level  string   `json:"level"`
	Scope  string   `json:"scope"`
	Since  string   `json:"since"`
	Rule   string   `json:"rule"`
	Why    string   `json:"why"`
	Seen   []string `json:"seen,omitempty"`
	Anchor string   `json:"anchor"`
	Checks []proven `json:"checks"`
}

// proven is a check with the faults it was seen to notice.
type proven struct {
	ID      string   `json:"id"`
	Summary string   `json:"summary"`
	Faults  []string `json:"faults"`
}

// explain is the command explain.
func (a *app) explain(args []string) int {
	f := a.flags("explain")
	asJSON := f.Bool("json", false, "print JSON")
	if done, status := a.parse(f, args); done {
		return status
	}
	if f.NArg() == 0 {
		return a.wrong(errors.New("explain what? A requirement (DENY-002), a check (DENY-002.no-dial) or a pattern (DENY-*)"))
	}
	var all []*requirement
	for _, id := range f.Args() {
		found, err := explained(id)
		if err != nil {
			return a.wrong(err)
		}
		all = append(all, found...)
	}
	if *asJSON {
		return a.printJSON(all)
	}
	for _, r := range all {
		a.printRequirement(r)
	}
	return exitOK
}

// explained finds the requirements an id or a pattern means.
func explained(id string) ([]*requirement, error) {
	checks, err := choose([]string{id}, nil)
	if err != nil {
		return nil, err
	}
	var out []*requirement
	for _, c := range checks {
		if len(out) == 0 || out[len(out)-1].ID != c.Requirement {
			out = append(out, &requirement{
				ID: c.Requirement, Title: c.Title, Level: c.Level, Scope: c.Scope, Since: c.Since, Rule: c.Rule, Why: c.Why, Seen: c.Seen, Anchor: c.Anchor,
			})
		}
		p := proven{ID: c.ID, Summary: c.Summary}
		for _, m := range mutant.Table() {
			if m.Check == c.ID {
				p.Faults = append(p.Faults, fmt.Sprintf("%s [%s]", m.Fault, m.Kind))
			}
		}
		out[len(out)-1].Checks = append(out[len(out)-1].Checks, p)
	}
	return out, nil
}

func (a *app) printRequirement(r *requirement) {
	fmt.Fprintf(a.stdout, "%s %s\n  %s, %s, since %s   SPEC.md#%s\n\n", r.ID, r.Title, r.Level, r.Scope, r.Since, r.Anchor)
	fmt.Fprintf(a.stdout, "%s\n\nWhy: %s\n\n", wrap(r.Rule), wrap(r.Why))
	if len(r.Seen) > 0 {
		fmt.Fprintf(a.stdout, "Seen: %s\n\n", wrap(strings.Join(r.Seen, ", ")))
	}
	fmt.Fprintln(a.stdout, "Checks, and the faults each was seen to notice, with the witness:")
	for _, c := range r.Checks {
		fmt.Fprintf(a.stdout, "  %s: %s\n", c.ID, c.Summary)
		for _, m := range c.Faults {
			fmt.Fprintf(a.stdout, "      %s\n", m)
		}
	}
	fmt.Fprintln(a.stdout)
}

// wrap breaks a text into lines of 100 characters.
func wrap(text string) string {
	var out strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > 100:
			out.WriteString("\n")
			column = 0
		default:
			out.WriteString(" ")
			column++
		}
		out.WriteString(word)
		column += n
	}
	return out.String()
}

// verify is the command verify.
func (a *app) verify(args []string) int {
	f := a.flags("verify")
	asJSON := f.Bool("json", false, "print JSON")
	if done, status := a.parse(f, args); done {
		return status
	}
	if f.NArg() == 0 {
		return a.wrong(errors.New("verify what? The path of a report.json"))
	}
	status, all := exitOK, map[string][]string{}
	for _, path := range f.Args() {
		problems, err := verifyFile(path)
		if err != nil {
			return a.wrong(err)
		}
		all[path] = append([]string{}, problems...)
		if len(problems) > 0 {
			status = exitFailed
		}
	}
	if *asJSON {
		return max(status, a.printJSON(all))
	}
	for _, path := range f.Args() {
		if len(all[path]) == 0 {
			fmt.Fprintf(a.stdout, "%s: complete and consistent\n", path)
		}
		for _, p := range all[path] {
			fmt.Fprintf(a.stdout, "%s: %s\n", path, p)
		}
	}
	return status
}

func verifyFile(path string) ([]string, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	problems, err := conformance.Verify(r)
	if err != nil {
		return []string{err.Error()}, nil // a file that holds no report is one that does not verify
	}
	return problems, nil
}
