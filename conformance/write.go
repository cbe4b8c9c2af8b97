// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// file is one form of the report.
type file struct {
	name  string
	write func(*Report, io.Writer) error
}

// files are all of them; report.json comes first, since the others can be made from it.
func files() []file {
	return []file{
		{"report.json", (*Report).WriteJSON},
		{"report.html", (*Report).WriteHTML},
		{"report.md", (*Report).WriteMarkdown},
		{"junit.xml", (*Report).WriteJUnit},
		{"badge.json", (*Report).WriteBadge},
	}
}

// WriteDir writes report.json, report.html, report.md, junit.xml and badge.json into dir, which is made if
// need be. Files of those names that are there are replaced.
func (r *Report) WriteDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("conformance: the directory for reports: %w", err)
	}
	for _, form := range files() {
		f, err := os.Create(filepath.Join(dir, form.name))
		if err != nil {
			return fmt.Errorf("conformance: %w", err)
		}
		if err := errors.Join(form.write(r, f), f.Close()); err != nil {
			return fmt.Errorf("conformance: writing %s: %w", form.name, err)
		}
	}
	return nil
}

// WriteJSON writes the whole report; [Schema] says what it looks like.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r.clean())
}

// printable replaces what may not stand in XML and what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\ufffe' || r == '\uffff' {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// specURL is where the text of a requirement can be read.
func specURL(anchor string) string {
	return "https://github.com/sallyport-dev/sallyport/blob/main/conformance/SPEC.md#" + anchor
}
