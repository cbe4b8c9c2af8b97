// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command peers puts the reports that scripts/peers has collected in order: one JSON file for each backend and
// version, without what differs from run to run, a matrix of them all in HTML and in Markdown, and a README.
//
//	peers IN OUT
//
// IN holds one directory for each backend, with its report.json; OUT is conformance/reports. The matrix and the README
// are made of every report in OUT, so that a run of one backend renews one column.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: peers IN OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], filepath.Join(os.Args[2], conformance.SpecVersion), os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(in, dir, out string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(in, "*", "report.json"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("no report.json in %s: %w", in, errors.Join(err, os.ErrNotExist))
	}
	for _, path := range found {
		if err := keep(path, dir); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	reports, err := readAll(dir)
	if err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{
		"matrix.html": func(w io.Writer) error { return conformance.MatrixHTML(w, reports) },
		"matrix.md":   func(w io.Writer) error { return conformance.MatrixMarkdown(w, reports) },
		"README.md":   func(w io.Writer) error { return readme(w, reports) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(out, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func read(path string) (*conformance.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return conformance.ReadReport(f)
}

func readAll(dir string) ([]*conformance.Report, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []*conformance.Report
	for _, path := range paths {
		r, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// keep writes a report to its place and takes away those of other versions of the same backend.
func keep(path, dir string) error {
	r, err := read(path)
	if err != nil {
		return err
	}
	if r.Verdict == conformance.VerdictInvalid || r.Count(conformance.Deselected) > 0 {
		return fmt.Errorf("%s does not hold every check, and is not kept", r.Summary())
	}
	settle(r)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, r.Backend.Name+"-*.json"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, r.Backend.Name+"-"+r.Backend.Version+".json"), b.Bytes(), 0o644)
}

var (
	number    = regexp.MustCompile(`[0-9]+(\.[0-9]+)+[^\s,()]*`)
	pointer   = regexp.MustCompile(`0x[0-9a-f]{6,}`)
	arrow     = regexp.MustCompile(`:[0-9]{4,5}(->[0-9a-f.:\[\]]+)?(: (i/o|read|write|connect|use|EOF))`)
	loopback  = regexp.MustCompile(`(127\.0\.0\.1|localhost|\[::1\]):([0-9]{5})\b`)
	clock     = regexp.MustCompile(`\b[0-9]+(\.[0-9]+)?(ns|µs|ms|s)\b`)
	directory = regexp.MustCompile(`/tmp/[A-Za-z0-9._-]+`)
	checkout  = regexp.MustCompile(`/[A-Za-z0-9._/-]+(/conformance/backends/)`)
	process   = regexp.MustCompile(`(pipe|socket|process|pid):?\[? ?[0-9]+\]?`)
)

// settle takes out of a report what differs from run to run, so that a difference between two is a fact.
func settle(r *conformance.Report) {
	r.Started, r.Millis = time.Time{}, 0
	r.Host.Kernel, r.Host.CPUs = "", 0
	if v := number.FindString(r.Backend.Version); v != "" {
		r.Backend.Version = v
	}
	for i := range r.Checks {
		c := &r.Checks[i]
		c.Millis, c.Log = 0, ""
		c.Reason = steady(c.Reason)
		for j := range c.Findings {
			c.Findings[j].Text = steady(c.Findings[j].Text)
		}
		for j := range c.Evidence {
			c.Evidence[j].Text = steady(c.Evidence[j].Text)
		}
	}
}

// steady also leaves out lists of what a machine has: its processes, its descriptors, its variables.
func steady(s string) string {
	if before, rest, found := strings.Cut(s, "\nExpected\n    <[]string | len:"); found && !strings.HasPrefix(rest, "1,") {
		s = before
	}
	s = pointer.ReplaceAllString(s, "0x…")
	s = arrow.ReplaceAllString(s, ":PORT$2")
	s = loopback.ReplaceAllString(s, "$1:PORT")
	s = clock.ReplaceAllString(s, "N $2")
	s = directory.ReplaceAllString(s, "/tmp/…")
	s = checkout.ReplaceAllString(s, "/…$1")
	return process.ReplaceAllString(s, "$1 N")
}

// readme says what lies here and how each cell is reproduced. It names no result.
func readme(w io.Writer, reports []*conformance.Report) error {
	var b strings.Builder
	b.WriteString(`# Reports

What ` + "`scripts/peers`" + ` has measured: one report for each backend and version in ` + "`" + conformance.SpecVersion + "`" + `, and all of them in
one table, [matrix.md](matrix.md) and [matrix.html](matrix.html). The files are made, not written: times, dates, ports and
addresses of memory are taken out, so that a difference between two versions of a file is a difference in
behaviour.

The tables state facts about one configuration. There is no score and no ranking; the programs were made for different
purposes. How each was configured, and why, stands at the top of its ` + "`conformance_test.go`" + `; why a check fails, in
its ` + "`baseline.txt`" + `. If a configuration could be stricter, or a reason is wrong, please open an issue.

## Reproduce

` + "`./scripts/setup`" + ` installs what is missing. A column is one command, and so is a cell: put the requirement or the check
in the place of the last argument.

| backend | version | column | cell |
|---|---|---|---|
`)
	for _, r := range reports {
		n := r.Backend.Name
		fmt.Fprintf(&b, "| [%s](../backends/%s) | [%s](%s/%s-%s.json) | `./scripts/peers %s` | `./scripts/peers %s ADDR-010` |\n",
			n, n, r.Backend.Version, conformance.SpecVersion, n, r.Backend.Version, n, n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
