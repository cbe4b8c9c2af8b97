// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// What go test -json prints for a package with one test of each kind, and one that died.
const stream = `{"Action":"start","Package":"github.com/sallyport-dev/sallyport/p"}
{"Action":"run","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable"}
{"Action":"run","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable/one"}
{"Action":"output","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable/one","Output":"    quiet\n"}
{"Action":"pass","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable/one"}
{"Action":"run","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable/two"}
{"Action":"output","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable/two","Output":"    p_test.go:7: got 1, want 2\n"}
{"Action":"fail","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable/two"}
{"Action":"fail","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestTable"}
{"Action":"run","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestSkipped"}
{"Action":"output","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestSkipped","Output":"    p_test.go:9: no bwrap: apt-get install bubblewrap\n"}
{"Action":"skip","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestSkipped"}
{"Action":"run","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestSuite"}
{"Action":"output","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestSuite","Output":"\u001b[32mSUCCESS!\u001b[0m -- \u001b[32m\u001b[1m5 Passed\u001b[0m | \u001b[31m0 Failed\u001b[0m | 0 Pending | 0 Skipped\n"}
{"Action":"pass","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestSuite"}
{"Action":"run","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestDies"}
{"Action":"output","Package":"github.com/sallyport-dev/sallyport/p","Test":"TestDies","Output":"panic: at the disco\n"}
{"Action":"fail","Package":"github.com/sallyport-dev/sallyport/p"}
{"Action":"start","Package":"github.com/sallyport-dev/sallyport/q"}
{"Action":"run","Package":"github.com/sallyport-dev/sallyport/q","Test":"TestFine"}
{"Action":"pass","Package":"github.com/sallyport-dev/sallyport/q","Test":"TestFine"}
{"Action":"pass","Package":"github.com/sallyport-dev/sallyport/q","Elapsed":1.5}
`

func TestEvents(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	o := &output{w: &text}
	if err := newEventReader(o).readAll(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	// Passed: TestTable/one, the five specs, TestSuite around them, TestFine. Failed: TestTable/two, the package.
	if want := (tally{passed: 8, failed: 2}); o.tally != want {
		t.Errorf("tally = %+v, want %+v", o.tally, want)
	}
	if want := (skip{"p TestSkipped", "no bwrap: apt-get install bubblewrap"}); len(o.skipped) != 1 || o.skipped[0] != want {
		t.Errorf("skipped = %v, want only %v", o.skipped, want)
	}
	for _, want := range []string{"p_test.go:7: got 1, want 2", "5 Passed", "FAIL  p", "ok    q 1.5s", "unfinished: TestDies", "panic: at the disco"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the output has no %q:\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "quiet") {
		t.Errorf("the output shows what a passing test said:\n%s", &text)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	pass := step{name: "pass", run: func(context.Context, *output) error { return nil }}
	fail := step{name: "fail", run: func(context.Context, *output) error { return errors.New("broken") }}
	both := &group{width: 2}
	meet := make(chan struct{}) // two steps that can only pass beside each other
	left := step{name: "left", group: both, run: func(context.Context, *output) error { meet <- struct{}{}; return nil }}
	right := step{name: "right", group: both, run: func(context.Context, *output) error { <-meet; return nil }}
	count := step{name: "count", run: func(_ context.Context, o *output) error { o.tally = tally{3, 1}; return nil }}
	lacks := step{name: "lacks", tools: []string{"no-such-program"}, run: func(context.Context, *output) error { panic("ran") }}
	tests := []struct {
		name  string
		steps []step
		ci    bool
		ok    bool
		want  []string
	}{
		{"all passes", []step{pass, pass}, true, true, []string{"\n2 passed, 0 failed\n"}},
		{"beside each other", []step{pass, left, right, pass}, true, true, []string{"\n4 passed, 0 failed\n"}},
		{"one fails", []step{pass, fail}, false, false, []string{"failed: fail: broken\n", "\n1 passed, 1 failed\n"}},
		{"a test of a step fails", []step{count}, false, false, []string{"\n3 passed, 1 failed\n"}},
		{"skipped here", []step{pass, lacks}, false, true, []string{"skipped: lacks: no-such-program", "\n1 passed, 0 failed\n"}},
		{"skipped in CI", []step{pass, lacks}, true, false, []string{"skipped: lacks: no-such-program", "\n1 passed, 1 failed\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var text bytes.Buffer
			r := newReport(&text, tt.ci)
			r.runAll(t.Context(), tt.steps)
			if err := r.finish(); (err == nil) != tt.ok {
				t.Errorf("finish() = %v, want success: %t", err, tt.ok)
			}
			for _, want := range tt.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("the output has no %q:\n%s", want, &text)
				}
			}
		})
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []step{{name: "unit"}, {name: "conformance:a"}, {name: "conformance:b"}, {name: "e2e"}}
	for _, tt := range []struct {
		wanted []string
		want   string // names, or "error"
	}{
		{nil, "unit conformance:a conformance:b e2e"},
		{[]string{"e2e", "unit"}, "unit e2e"},
		{[]string{"conformance:"}, "conformance:a conformance:b"},
		{[]string{"conformance:b"}, "conformance:b"},
		{[]string{"units"}, "error"},
	} {
		got, err := choose(all, tt.wanted)
		var names []string
		for _, s := range got {
			names = append(names, s.name)
		}
		if err != nil {
			names = []string{"error"}
		}
		if s := strings.Join(names, " "); s != tt.want {
			t.Errorf("choose(%v) = %s, want %s", tt.wanted, s, tt.want)
		}
	}
}
