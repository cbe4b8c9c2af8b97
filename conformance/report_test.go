// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
)

// hostile is text that means something to each of the formats, and to a terminal.
const hostile = "<script>alert(1)</script> \"quoted\" 'single' a|b ```` {{.}} & ]]> \x1b[31m\x00 \xff *x* [y](z)"

// sample is a report with every outcome in it.
func sample() *Report {
	line := func(label, text string) check.Line { return check.Line{Label: label, Text: text} }
	r := &Report{
		SchemaVersion: SchemaVersion, Spec: SpecVersion, Suite: "v0.1.0", Repeat: 3, Seed: 7,
		Backend: BackendReport{
			Name: "sample " + hostile, Version: "1.4", Claimed: []Feature{PortRules, TCP}, Unclaimed: []Feature{Reasons, Unix},
			Restrictions: []string{"the policy is fixed"},
		},
		Host:     HostReport{OS: "linux", Arch: "amd64", Go: "go1.26.0", Kernel: "6.1.0", CPUs: 2},
		Started:  time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Millis:   6501,
		Policies: map[string]PolicyReport{"core": {Allow: []string{"allowed.example.com", hostile}}, "none": {Allow: []string{}}},
		Checks: []CheckReport{
			{ID: "CONNECT-001.tunnel", Outcome: Pass, Millis: 3, Evidence: []check.Line{
				line("Sent", "CONNECT allowed.example.com:443"), line("Got", "200"), line("Origin", "1 connection(s) or attempt(s), to 93.184.215.14:443"),
			}},
			{ID: "DENY-001.no-tunnel", Outcome: Stale, Reason: "the baseline lists it, and it passes: take it out (it was once so)"},
			{ID: "DENY-002.no-dial", Outcome: Fail, Millis: 12, In: []int{1, 3},
				Evidence: []check.Line{
					line("Control", "allowed.example.com:443 worked before"), line("Sent", "CONNECT denied.example.net:443"), line("Got", "403"),
					line("Origin", "1 connection(s) or attempt(s), to 45.33.32.156:443"),
					line("DNS", "2 query(s): A denied.example.net, AAAA denied.example.net"), line("Got", hostile),
				},
				Findings: []FindingReport{{Kind: "origin-dial", Text: "connections and packets\nof a refusal"}, {Kind: "dns-query", Text: hostile}},
				Log:      "dialling denied.example.net\n" + hostile,
			},
			{ID: "DENY-002.no-lookup", Outcome: Known, Reason: "it resolves first, " + hostile, Findings: []FindingReport{{Kind: "dns-query", Text: "asked"}}},
			{ID: "HOST-001.tunnel", Outcome: Error, Reason: "the check panicked: " + hostile, Millis: 1},
			{ID: "BRIDGE-001.mode", Outcome: NA, Reason: "the backend does not claim the feature unix"},
			{ID: "BRIDGE-002.none", Outcome: NA, Reason: "the backend does not claim the feature unix"},
			{ID: "SANDBOX-001.allowed", Outcome: Deselected, Reason: "no pattern of the selection matches it"},
			{ID: "ZZZ-001.gone", Outcome: "odd", Reason: "of another version"},
		},
		Problems: []string{"an instance would not stop: " + hostile},
	}
	for i := range r.Checks {
		c := &r.Checks[i]
		c.Requirement, _, _ = strings.Cut(c.ID, ".")
		c.Level = "MUST"
	}
	r.Verdict = r.verdict()
	return r
}

// peers are three reports for a matrix: two proxies in the wrong order, and a sandbox.
func peers() []*Report {
	second := sample()
	second.Backend.Name, second.Backend.Version, second.Problems = "Another", "2.0", nil
	second.Checks = second.Checks[:6]
	for i := range second.Checks[:5] {
		second.Checks[i].Outcome, second.Checks[i].Findings, second.Checks[i].Reason = Pass, nil, ""
	}
	second.Verdict = second.verdict()
	sandbox := sample()
	sandbox.Backend.Name, sandbox.Backend.Claimed = "box", []Feature{Sandbox}
	return []*Report{sample(), second, sandbox}
}

// forms are all that can be made of reports: the files of WriteDir, and the matrix.
func forms(t *testing.T, r *Report, all []*Report) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := r.WriteDir(filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "new"))
	if err != nil || len(entries) != len(files()) {
		t.Fatalf("%d files (%v), want %d", len(entries), err, len(files()))
	}
	out := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, "new", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	for name, write := range map[string]func(io.Writer, []*Report) error{"matrix.html": MatrixHTML, "matrix.md": MatrixMarkdown} {
		var b bytes.Buffer
		if err := write(&b, all); err != nil {
			t.Fatal(err)
		}
		out[name] = b.String()
	}
	return out
}

// TestWriters compares every form with its golden file.
func TestWriters(t *testing.T) {
	t.Parallel()
	for name, got := range forms(t, sample(), peers()) {
		golden := filepath.Join("testdata", "report", name)
		if os.Getenv(envUpdate) != "" {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is not what %s holds; if that is meant, run %s=1 go test -run TestWriters . and read the difference\n%s",
				name, golden, envUpdate, firstDifference(got, string(want)))
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "one is longer"
}

// TestPagesLoadNothing: no script, no resource, nothing of the hostile text as markup.
func TestPagesLoadNothing(t *testing.T) {
	t.Parallel()
	for name, text := range forms(t, sample(), peers()) {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, bad := range []string{"<script", "<link", "<img", "<iframe", "<object", " src=", "@import", "url(", "javascript:", " onclick", "ZgotmplZ"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q", name, bad)
			}
		}
		if !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;") {
			t.Errorf("%s does not show the hostile text at all", name)
		}
	}
}

// TestAnchors: every requirement and every check can be linked to, once.
func TestAnchors(t *testing.T) {
	t.Parallel()
	r := sample()
	page := forms(t, r, peers())["report.html"]
	for _, c := range r.Checks {
		for _, id := range []string{c.ID, c.Requirement} {
			if n := strings.Count(page, ` id="`+id+`"`); n != 1 {
				t.Errorf("%d anchors %s, want 1", n, id)
			}
		}
	}
}

// TestMarkdownIsBounded: a summary that is too long is not shown at all.
func TestMarkdownIsBounded(t *testing.T) {
	t.Parallel()
	r := sample()
	for range 12 {
		c := r.Checks[2]
		c.Findings = []FindingReport{{Kind: "origin-dial", Text: strings.Repeat("long ", 18000)}}
		r.Checks = append(r.Checks, c)
	}
	var b bytes.Buffer
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 1<<20 || b.Len() < 900<<10 {
		t.Errorf("%d bytes, want a little less than 1 MiB", b.Len())
	}
	if !strings.Contains(b.String(), "parts are left out here") || !strings.HasPrefix(b.String(), "**invalid: ") {
		t.Error("it does not begin with the verdict, or does not say that something is missing")
	}
}

// TestMatrixRefuses: nothing to compare, and two columns that cannot be told apart.
func TestMatrixRefuses(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]*Report{"none": nil, "twice": {sample(), sample()}} {
		for _, write := range []func(io.Writer, []*Report) error{MatrixHTML, MatrixMarkdown} {
			if err := write(io.Discard, all); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
}
