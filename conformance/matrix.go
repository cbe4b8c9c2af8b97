// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/page"
	"github.com/sallyport-dev/sallyport/conformance/internal/redact"
)

// MatrixHTML writes one page with a row for every requirement and a column for every report, backends in
// alphabetical order, proxies and sandboxes in tables of their own: a backend that claims neither [TCP] nor
// [Unix] is a sandbox. Every cell says how the requirement came out, and why; there is no score and no
// ranking. Like [Report.WriteHTML] it loads nothing. No reports, or two of the same backend and version in
// one table, are an error.
func MatrixHTML(w io.Writer, reports []*Report) error {
	m, err := newMatrix(reports)
	if err != nil {
		return err
	}
	return page.WriteMatrix(w, redact.Each(m, printable))
}

// MatrixMarkdown is MatrixHTML in Markdown; the reasons stand in lists below each table.
func MatrixMarkdown(w io.Writer, reports []*Report) error {
	m, err := newMatrix(reports)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", m.Title)
	for _, c := range m.Legend {
		fmt.Fprintf(&b, "%s %s · ", c.Mark.Symbol, c.Mark.Word)
	}
	b.WriteString("a cell shows the worst of the requirement's checks. Backends stand in alphabetical order.\n" +
		"*known*: it fails, and the list of known failures of the backend says so, with the reason.\n")
	for _, t := range m.Tables {
		markdownTable(&b, t)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func markdownTable(b *strings.Builder, t page.Table) {
	fmt.Fprintf(b, "\n## %s\n\n| requirement |", t.Title)
	for _, c := range t.Columns {
		fmt.Fprintf(b, " %s %s |", mdText(c.Name), mdText(c.Version))
	}
	fmt.Fprintf(b, "\n|---|%s\n| *verdict* |", strings.Repeat("---|", len(t.Columns)))
	for _, c := range t.Columns {
		fmt.Fprintf(b, " %s |", mdText(c.Verdict.Word))
	}
	fmt.Fprintf(b, "\n| *spec, day* |")
	for _, c := range t.Columns {
		fmt.Fprintf(b, " %s |", strings.TrimSuffix(mdText(c.Spec)+", "+c.Date, ", "))
	}
	fmt.Fprintf(b, "\n| *claims* |")
	for _, c := range t.Columns {
		fmt.Fprintf(b, " %s |", mdText(strings.Join(c.Claimed, ", ")))
	}
	fmt.Fprintf(b, "\n| *restrictions* |")
	for _, c := range t.Columns {
		fmt.Fprintf(b, " %s |", mdText(strings.Join(c.Restrictions, "; ")))
	}
	b.WriteByte('\n')
	why := make([]string, len(t.Columns))
	for _, a := range t.Areas {
		for _, row := range a.Rows {
			if row.URL == "" {
				fmt.Fprintf(b, "| %s |", mdText(row.ID))
			} else {
				fmt.Fprintf(b, "| [%s](%s) %s |", row.ID, row.URL, mdText(row.Title))
			}
			for i, cell := range row.Cells {
				fmt.Fprintf(b, " %s %s |", cell.Mark.Symbol, mdText(cell.Mark.Word))
				for _, reason := range cell.Why {
					why[i] += "- " + mdText(reason) + "\n"
				}
			}
			b.WriteByte('\n')
		}
	}
	if len(t.Without) > 0 {
		fmt.Fprintf(b, "\nRequirements that apply to none of these: %s.\n", mdText(strings.Join(t.Without, ", ")))
	}
	for i, c := range t.Columns {
		if why[i] != "" {
			fmt.Fprintf(b, "\n<details><summary>%s %s: what did not pass, and why</summary>\n\n%s\n</details>\n",
				mdText(c.Name), mdText(c.Version), why[i])
		}
	}
}

func newMatrix(reports []*Report) (page.Matrix, error) {
	m := page.Matrix{Title: "Egress conformance, requirement by backend", Legend: legend()}
	if len(reports) == 0 {
		return m, errors.New("conformance: no reports to make a matrix of")
	}
	var proxies, sandboxes []*Report
	for _, r := range reports {
		r = r.clean()
		if slices.Contains(r.Backend.Claimed, TCP) || slices.Contains(r.Backend.Claimed, Unix) {
			proxies = append(proxies, r)
		} else {
			sandboxes = append(sandboxes, r)
		}
	}
	for _, t := range []struct {
		id, title string
		reports   []*Report
	}{{"proxies", "Proxies", proxies}, {"sandboxes", "Sandboxes", sandboxes}} {
		if len(t.reports) == 0 {
			continue
		}
		table, err := newTable(t.id, t.title, t.reports)
		if err != nil {
			return m, err
		}
		m.Tables = append(m.Tables, table)
	}
	return m, nil
}

// day is "" for a report whose times were taken out so that its next version differs in facts only.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02")
}

// newTable sorts the reports and makes rows of the requirements that apply to at least one of them.
func newTable(id, title string, reports []*Report) (page.Table, error) {
	t := page.Table{ID: id, Title: title}
	slices.SortFunc(reports, byName)
	ids := map[string]bool{}
	for i, r := range reports {
		if i > 0 && byName(reports[i-1], r) == 0 {
			return t, fmt.Errorf("conformance: two reports of %s %s in one matrix; leave one out", r.Backend.Name, r.Backend.Version)
		}
		t.Columns = append(t.Columns, page.Column{
			Name: r.Backend.Name, Version: r.Backend.Version, Spec: r.Spec, Date: day(r.Started),
			Verdict: verdictMark(r.Verdict), Claimed: names(r.Backend.Claimed), Restrictions: r.Backend.Restrictions,
		})
		for _, c := range r.Checks {
			ids[c.Requirement] = true
		}
	}
	for _, req := range specOrder(maps.Keys(ids)) {
		row, applies := newRow(req, reports)
		if !applies {
			t.Without = append(t.Without, req)
			continue
		}
		area, _, _ := strings.Cut(req, "-")
		if n := len(t.Areas); n == 0 || t.Areas[n-1].ID != area {
			t.Areas = append(t.Areas, page.TableArea{ID: area, Title: areaTitles()[area]})
		}
		last := &t.Areas[len(t.Areas)-1]
		last.Rows = append(last.Rows, row)
	}
	return t, nil
}

func byName(a, b *Report) int {
	if n := strings.Compare(strings.ToLower(a.Backend.Name), strings.ToLower(b.Backend.Name)); n != 0 {
		return n
	}
	return strings.Compare(a.Backend.Version, b.Backend.Version)
}

// newRow says also whether the requirement applies to any of the backends.
func newRow(id string, reports []*Report) (row page.Row, applies bool) {
	spec := requirements()[id]
	row = page.Row{ID: id, Title: spec.title, Level: spec.level}
	if spec.id != "" {
		row.URL = specURL(spec.anchor)
	}
	for _, r := range reports {
		var checks []CheckReport
		for _, c := range r.Checks {
			if c.Requirement == id {
				checks = append(checks, c)
			}
		}
		if len(checks) == 0 {
			row.Cells = append(row.Cells, page.Cell{Mark: page.Mark{Symbol: "·", Word: "not in the report", Class: "nothing"}})
			continue
		}
		o := overall(checks)
		applies = applies || o != NA
		row.Cells = append(row.Cells, page.Cell{Mark: outcomeMark(o), Why: reasons(checks)})
	}
	return row, applies
}

// reasons are those of all checks that did not pass, each once.
func reasons(checks []CheckReport) []string {
	var out []string
	for _, c := range checks {
		if c.Outcome == Pass {
			continue
		}
		why := []string{}
		if c.Reason != "" {
			why = append(why, c.Reason)
		}
		for _, f := range c.Findings {
			why = append(why, fmt.Sprintf("%s [%s]", f.Text, f.Kind))
		}
		out = append(out, fmt.Sprintf("%s, %s: %s", c.ID, c.Outcome, strings.Join(why, "; ")))
	}
	return out
}
