// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package page makes HTML of results: one file, without scripts, that loads nothing. It knows nothing of the
// suite; what it shows comes in the types below, as plain text, and html/template does all the escaping.
package page

import (
	"embed"
	"html/template"
	"io"
	"strings"
)

// Mark is an outcome that can be told without colours: a symbol and a word. Class is that of the style sheet.
type Mark struct{ Symbol, Word, Class string }

// Count is how often something came out so.
type Count struct {
	Mark Mark
	N    int
}

// Report is the page of one report.
type Report struct {
	Title, Backend, Version, Spec, Suite string
	Verdict                              Mark
	Meaning                              string // of the verdict, in a sentence
	Started, Took, Host                  string
	Runs                                 string // how often, and in which order; empty for once, in order
	Claimed, Unclaimed, Restrictions     []string
	Counts                               []Count
	Legend                               []Count // every mark there is
	Problems                             []string
	Attention                            []Check // what did not pass, and ought to
	Areas                                []Area
	Policies                             []Policy
}

// Area is one chapter of the specification.
type Area struct {
	ID, Title    string
	Requirements []Requirement
}

// Requirement is one row.
type Requirement struct {
	ID, Number, Title, Level, Scope string
	Rule, Why, URL                  string
	Mark                            Mark // the worst of its checks
	Checks                          []Check
}

// Check is one check with its evidence.
type Check struct {
	ID, Name, Summary, Reason, Log, Took string
	In                                   string // which repetitions, if not all
	Mark                                 Mark
	Open                                 bool
	Findings                             []Finding
	Lines                                []Line
}

// Finding is what spoke against the backend.
type Finding struct{ Kind, Text string }

// Line is one line of what the witnesses saw.
type Line struct{ Label, Text string }

// Policy is one policy by its name.
type Policy struct {
	Name        string
	Allow, Deny []string
}

// Matrix is the page of several reports.
type Matrix struct {
	Title  string
	Legend []Count
	Tables []Table
}

// Table has a row for every requirement and a column for every backend.
type Table struct {
	ID, Title string
	Columns   []Column
	Areas     []TableArea
	Without   []string // requirements that apply to no column
}

// Column is one backend.
type Column struct {
	Name, Version, Spec, Date string
	Verdict                   Mark
	Claimed, Restrictions     []string
}

// TableArea is a group of rows.
type TableArea struct {
	ID, Title string
	Rows      []Row
}

// Row is one requirement.
type Row struct {
	ID, Title, Level, URL string
	Cells                 []Cell
}

// Cell is how one backend fared: why is empty when there is nothing to say.
type Cell struct {
	Mark Mark
	Why  []string
}

//go:embed style.css report.html matrix.html
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"style": style, "code": code, "join": strings.Join, "inc": func(n int) int { return n + 1 },
}).ParseFS(files, "*.html"))

// WriteReport writes the page of one report.
func WriteReport(w io.Writer, r Report) error { return templates.ExecuteTemplate(w, "report.html", r) }

// WriteMatrix writes the page of several.
func WriteMatrix(w io.Writer, m Matrix) error { return templates.ExecuteTemplate(w, "matrix.html", m) }

// style is our own style sheet, and the only text that is not escaped.
func style() (template.CSS, error) {
	text, err := files.ReadFile("style.css")
	return template.CSS(text), err
}

// span is a part of a text, in the type of code or not.
type span struct {
	Text string
	Code bool
}

// code splits a text of the specification at its back quotes.
func code(s string) []span {
	var out []span
	for i, part := range strings.Split(s, "`") {
		if part != "" {
			out = append(out, span{Text: part, Code: i%2 == 1})
		}
	}
	return out
}
