// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// WriteDir writes report.json, junit.xml and report.md into dir and makes it if need be.
func (r *Report) WriteDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("conformance: the directory for reports: %w", err)
	}
	for name, write := range map[string]func(io.Writer) error{
		"report.json": r.WriteJSON, "junit.xml": r.WriteJUnit, "report.md": r.WriteMarkdown,
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("conformance: %w", err)
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("conformance: writing %s: %w", name, err)
		}
	}
	return nil
}

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes one test case for every check. Known failures and what does not apply are skipped.
func (r *Report) WriteJUnit(w io.Writer) error {
	s := junitSuite{
		Name: r.Backend.Name, Tests: len(r.Checks), Failures: r.Count(Fail) + r.Count(Stale), Errors: r.Count(Error),
		Skipped: r.Count(NA) + r.Count(Known) + r.Count(Deselected), Time: seconds(r.Millis),
	}
	for _, c := range r.Checks {
		jc := junitCase{Name: c.ID, Class: r.Backend.Name, Time: seconds(c.Millis)}
		switch c.Outcome {
		case Fail, Stale:
			jc.Failure = &junitMessage{string(c.Outcome), printable(c.Text())}
		case Error:
			jc.Error = &junitMessage{string(c.Outcome), printable(c.Text())}
		case NA, Known, Deselected:
			jc.Skipped = &junitMessage{Message: fmt.Sprintf("%s: %s", c.Outcome, c.Reason)}
		}
		s.Cases = append(s.Cases, jc)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	return e.Encode(s)
}

func seconds(millis int64) string { return fmt.Sprintf("%.3f", float64(millis)/1000) }

// printable replaces what may not stand in XML and what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\ufffe' || r == '\uffff' {
			return '\ufffd'
		}
		return r
	}, s)
}

// WriteMarkdown writes the verdict and all that did not pass, for the summary page of a CI run.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n", r.Summary())
	for _, c := range r.Checks {
		switch c.Outcome {
		case Fail, Error, Stale:
			fmt.Fprintf(&b, "\n```\n%s```\n", strings.ReplaceAll(printable(c.Text()), "```", "'''"))
		}
	}
	table := false
	for _, c := range r.Checks {
		if c.Outcome != Known && c.Outcome != NA {
			continue
		}
		if !table {
			b.WriteString("\n| check | | why |\n|---|---|---|\n")
			table = true
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.ID, c.Outcome, strings.ReplaceAll(printable(c.Reason), "|", "\\|"))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "\nProblem: %s\n", printable(p))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
