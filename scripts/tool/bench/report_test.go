// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
		ok     bool
	}{
		{nil, 0, false},
		{[]float64{7}, 7, true},
		{[]float64{9, 1, 2}, 2, true},
		{[]float64{4, 1, 3, 2}, 2.5, true},
		{[]float64{1000, 80, 90}, 90, true},
	} {
		before := slices.Clone(c.values)
		if got, ok := median(c.values); got != c.want || ok != c.ok {
			t.Errorf("median(%v) = %v, %v, want %v, %v", c.values, got, ok, c.want, c.ok)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("median changed its argument to %v", c.values)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    float64
		ok   bool
		want string
	}{
		{0, true, "0"}, {2, true, "2"}, {0.456, true, "0.46"}, {9.876, true, "9.88"}, {12.34, true, "12.3"}, {123.6, true, "124"},
		{-12.34, true, "-12.3"}, {-500.4, true, "-500"}, {1e6, true, "1000000"}, {3, false, ""}, {math.NaN(), true, ""}, {math.Inf(1), true, ""},
	} {
		if got := number(c.v, c.ok); got != c.want {
			t.Errorf("number(%v, %v) = %q, want %q", c.v, c.ok, got, c.want)
		}
	}
	for _, c := range []struct {
		middle string
		all    []float64
		want   string
	}{{"1.00", []float64{1.001, 1.002}, ""}, {"2", []float64{1, 2, 2.5}, " (1–2.50)"}, {"2", []float64{2}, ""}, {"", nil, ""}} {
		if got := around(c.middle, c.all); got != c.want {
			t.Errorf("around(%q, %v) = %q, want %q", c.middle, c.all, got, c.want)
		}
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	d := newData()
	for i, v := range []float64{100, 120, 110} {
		d.add("setup 32 CPU µs", "built-in", v)
		d.add("setup 32 CPU µs", "haproxy", 100+float64(10*i))
		d.add("setup 32 CPU µs", "squid", 220)
		d.add("setup 32 CPU µs", "tinyproxy", 200)
	}
	if got, ok := ratio("setup 32 CPU µs", "built-in", "haproxy")(d); !ok || got != 1 {
		t.Errorf("ratio of the medians = %v, %v, want 1", got, ok)
	}
	if got := roundsOf("setup 32 CPU µs", "built-in", "haproxy")(d); len(got) != 3 || got[0] != 1 || got[2] != 110.0/120 {
		t.Errorf("ratios of the rounds = %v", got)
	}
	if got, ok := best("setup 32 CPU µs")(d); !ok || got != 0.55 {
		t.Errorf("ratio to the best CONNECT proxy = %v, %v, want 0.55, HAProxy not counted", got, ok)
	}
	d.add("setup 32 CPU µs", "haproxy", 1)
	if got := roundsOf("setup 32 CPU µs", "built-in", "haproxy")(d); got != nil {
		t.Errorf("rounds of different numbers give %v, want nothing", got)
	}
	for _, missing := range []string{"nobody", "built-in"} {
		if got, ok := ratio("no figure", missing, "haproxy")(d); ok {
			t.Errorf("ratio of what was not measured = %v", got)
		}
	}
	d.add("idle 1000 KiB", "built-in", 2)
	d.add("idle 9500 KiB", "built-in", 3)
	if got, ok := growth("idle %d KiB", "built-in", 1000, 9500)(d); !ok || got != 1.5 {
		t.Errorf("growth = %v, %v, want 1.5", got, ok)
	}
	d.Filter = []filterResult{{Patterns: 10_000, PerPattern: 50}, {Patterns: 1_000_000, PerPattern: 60}}
	if got, ok := filterGrowth(10_000, func(r filterResult) float64 { return r.PerPattern })(d); !ok || got != 1.2 {
		t.Errorf("growth of the filter = %v, %v, want 1.2", got, ok)
	}
	if got, ok := filterGrowth(1000, func(r filterResult) float64 { return r.PerPattern })(d); ok {
		t.Errorf("growth from a number that was not measured = %v", got)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	most, least := goal{most: 1.25}, goal{min: 0.95}
	for _, c := range []struct {
		g    goal
		v    float64
		want string
	}{
		{most, 1.25, "reached"}, {most, 1.26, "**missed**"}, {most, 0, "reached"}, {most, math.NaN(), "**missed**"}, {most, math.Inf(1), "**missed**"},
		{least, 0.95, "reached"}, {least, 0.94, "**missed**"}, {least, 2, "reached"}, {least, math.NaN(), "**missed**"},
	} {
		if got := c.g.verdict(c.v); got != c.want {
			t.Errorf("verdict of %v with at most %v, at least %v = %q, want %q", c.v, c.g.most, c.g.min, got, c.want)
		}
	}
	for _, g := range goals {
		if g.most == 0 && g.min == 0 || g.get == nil {
			t.Errorf("goal %q cannot be missed", g.what)
		}
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	all := []manyResult{{Proxies: 7, Start: 1}, {Proxies: 5, Start: 9, Close: 2}, {Proxies: 5, Start: 1, Close: 8}, {Proxies: 5, Start: 3, Close: 4}}
	got := medians(all, manyResult.size, (*manyResult).fields)
	if len(got) != 2 || got[0] != (manyResult{Proxies: 5, Start: 3, Close: 4}) || got[1] != (manyResult{Proxies: 7, Start: 1}) {
		t.Errorf("medians = %+v", got)
	}
	if all[1] != (manyResult{Proxies: 5, Start: 9, Close: 2}) {
		t.Errorf("medians changed its argument to %+v", all)
	}
	var b strings.Builder
	row(&b, all, got[0], manyResult.size, func(r manyResult) float64 { return r.Start }, func(r manyResult) float64 { return r.LeftFiles })
	if got, want := b.String(), "| 5 | 3 (1–9) | 0 |\n"; got != want {
		t.Errorf("row = %q, want %q", got, want)
	}
	if got := largestRounds(all, manyResult.size, func(r manyResult) float64 { return r.Start }); !slices.Equal(got, []float64{1}) {
		t.Errorf("rounds at the largest number = %v", got)
	}
}

// The reports must cope with whatever was not measured.
func TestReport(t *testing.T) {
	t.Parallel()
	d := newData()
	got := d.markdown()
	if !strings.Contains(got, "# Measured") || strings.Count(got, "| not measured |") != len(goals) {
		t.Errorf("an empty report is %q", got)
	}
	d.add("setup 32 CPU µs", "haproxy", 70)
	for _, v := range []float64{80, 90, 1000} {
		d.add("setup 32 CPU µs", "built-in", v)
	}
	d.add("setup 256 CPU µs", "built-in", 95)
	d.Filter = []filterResult{{Patterns: 10, Recent: decisions{Name: 1}}, {Patterns: 100, Recent: decisions{Name: 2}}}
	d.NotMeasured = []string{"a | b: it says\n<script>"}
	d.Failed = []string{"c: d"}
	got = d.markdown()
	for _, want := range []string{"| built-in | 90 (80–1000) |", "| haproxy | 70 |", "≤ 1.25 × | 1.29 | **missed**",
		"## Not measured\n\n- a \\| b: it says &lt;script&gt;\n", "## Failed\n\n- c: d\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
}

// A plot is well-formed whatever the names are, and no number in it is none.
func TestPlot(t *testing.T) {
	t.Parallel()
	d := newData()
	d.add("setup 32 CPU µs", "built-in", 90)
	d.add("setup 256 CPU µs", "built-in", 0)
	d.add("idle 1000 KiB", "built-in", 0)
	d.add("idle 9500 KiB", "built-in", 0)
	d.Filter = []filterResult{{Patterns: 10, Recent: decisions{Name: 1}}, {Patterns: 100, Recent: decisions{Name: 2}}}
	var b strings.Builder
	panel{bars: []bar{{`<&">`, 1}, {"zero", 0}}, lines: []curve{{`<&">`, []float64{1, 2}, []float64{1, 1}}, {"one", []float64{3}, []float64{4}}}}.draw(&b, `<&">`, 0)
	panel{lines: []curve{{"one point", []float64{3}, []float64{4}}}}.draw(&b, "", 1)
	panel{lines: []curve{{"nothing", []float64{3, 4}, []float64{0, 0}}}}.draw(&b, "", 2)
	for _, svg := range []string{d.plot(), newData().plot(), "<svg>" + b.String() + "</svg>"} {
		x := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := x.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
		}
		if !strings.HasPrefix(svg, "<svg") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("the plot is %s", svg)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"-quik", "not defined"}, {"quick", `"quick" is no option`}, {"-quick now", `"now" is no option`},
		{"-only setup,streems", `there is no "streems"`}, {"-proxies built-in,nginx", `there is no "nginx"`},
		{"-rounds -1", "from 1 on"}, {"-rounds many", "invalid value"}, {"-only ,", `there is no ""`},
	} {
		if _, err := parseOptions(strings.Fields(c.args)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("parseOptions(%s): error %v, want %q in it", c.args, err, c.want)
		}
	}
	if _, err := parseOptions([]string{"-help"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
	o, err := parseOptions(strings.Fields("--quick -only setup,idle -proxies haproxy,built-in -rounds 9"))
	if err != nil {
		t.Fatal(err)
	}
	if !o.wants("idle") || o.wants("streams") || len(o.wanted()) != 2 || o.howOften(1, 5) != 9 || pick(o, 1, 2) != 1 {
		t.Errorf("options are %+v", o)
	}
	if got, want := o.command(), "./scripts/bench -quick -only setup,idle -proxies haproxy,built-in -rounds 9"; got != want {
		t.Errorf("command %q, want %q", got, want)
	}
	if o, err := parseOptions(nil); err != nil || len(o.wanted()) != len(kinds) || !o.wants("many") || o.howOften(1, 5) != 5 {
		t.Errorf("no options are %+v, %v", o, err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	before := usage{CPU: 1, beside: map[int]float64{10: 5, 11: 2}}
	after := usage{CPU: 4, beside: map[int]float64{11: 2.5, 12: 1}}
	if got := after.since(before); got != 4.5 {
		t.Errorf("since = %v, want 3 + 0.5 + 1", got)
	}
	for args, want := range map[string]bool{
		"/proc/self/exe\x00role\x00client\x00-kind\x00": true, "bwrap\x00--\x00bench\x00role\x00client\x00": false, "": false, "x\x00role\x00proxy\x00": false,
	} {
		if got := isClient(args); got != want {
			t.Errorf("isClient(%q) = %v", args, got)
		}
	}
	u, err := treeUsage(os.Getpid())
	if err != nil || u.Pss <= 0 || u.Files < 3 {
		t.Errorf("this process uses %+v, %v", u, err)
	}
}

func TestReplaceSummary(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "README.md")
	for text, want := range map[string]string{
		"a\n" + summaryBegin + "\nold\n" + summaryEnd + "\nb\n": "a\n" + summaryBegin + "\nnew\n" + summaryEnd + "\nb\n",
		"a\n":                            "",
		"a\n" + summaryBegin + "\nold\n": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := replaceSummary(path, "new\n")
		got, _ := os.ReadFile(path)
		if (err == nil) != (want != "") || err == nil && string(got) != want || err != nil && string(got) != text {
			t.Errorf("%q became %q, %v, want %q", text, got, err, want)
		}
	}
}

// What is committed was written by the tool: nobody copies figures by hand.
func TestCommittedResults(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	read := func(path ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	d := newData()
	if err := json.Unmarshal([]byte(read(resultsDir, "results.json")), d); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"results.md": d.markdown(), "results.svg": d.plot(), "summary.md": d.summary()} {
		if read(resultsDir, name) != want {
			t.Errorf("%s/%s is not what results.json says: run ./scripts/bench", resultsDir, name)
		}
	}
	_, got, _, ok := cutSummary(read("README.md"))
	if !ok {
		t.Fatalf("README.md has no lines %q and %q", summaryBegin, summaryEnd)
	}
	if want := d.summary(); got != want {
		t.Errorf("the table in README.md is\n%s\nbut results.json says\n%s", got, want)
	}
}
