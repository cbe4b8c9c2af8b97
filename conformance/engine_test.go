// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/mutant"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

func baseline(t *testing.T, text string) *conformance.Baseline {
	t.Helper()
	b, err := conformance.ParseBaseline(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// insideEngine: what a backend that cannot be tested, and one that can, make of a run.
func insideEngine(t *testing.T) {
	stop := func(context.Context) error { return nil }
	dead, _ := net.ResolveTCPAddr("tcp", "127.0.0.1:1")
	starts := func(i *conformance.Instance, err error) conformance.Backend {
		return conformance.Backend{
			Name: "x", Features: conformance.Features(conformance.TCP),
			Start: func(context.Context, conformance.Config) (*conformance.Instance, error) { return i, err },
		}
	}
	known := mutant.Backend(mutant.TCP, refproxy.DialsFirst)
	known.Known = baseline(t, "DENY-002.no-dial it dials first\nDENY-002.no-lookup and asks")
	for _, c := range []struct {
		name string
		b    conformance.Backend
		want conformance.Verdict
		says string
	}{
		{"conformant within the selection", mutant.Backend(mutant.TCP), conformance.VerdictPartial, ""},
		{"a mutant", mutant.Backend(mutant.TCP, refproxy.DialsFirst), conformance.VerdictNotConformant, ""},
		{"a mutant that is known", known, conformance.VerdictPartial, ""},
		{"Start fails", mutant.Backend(mutant.TCP, refproxy.StartFails), conformance.VerdictInvalid, "never starts"},
		{"Start hangs", mutant.Backend(mutant.TCP, refproxy.StartHangs), conformance.VerdictInvalid, "has not returned"},
		{"Start panics", mutant.Backend(mutant.TCP, refproxy.StartPanics), conformance.VerdictInvalid, "panicked"},
		{"Start returns nothing", starts(nil, nil), conformance.VerdictInvalid, "neither an instance nor an error"},
		{"no Stop", starts(&conformance.Instance{Addr: dead}, nil), conformance.VerdictInvalid, "without Stop"},
		{"no way in", starts(&conformance.Instance{Stop: stop}, nil), conformance.VerdictInvalid, "no way to it"},
		{"a wrong address", starts(&conformance.Instance{Addr: dead, Stop: stop}, nil), conformance.VerdictInvalid, "nobody is at the address"},
		{"Stop fails", stopping(errors.New("no")), conformance.VerdictInvalid, ""},
		{"Stop hangs", stopping(nil), conformance.VerdictInvalid, ""},
	} {
		r, err := conformance.Execute(t.Context(), c.b, conformance.Select(few), conformance.TimeoutScale(0.1))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if r.Verdict != c.want {
			t.Errorf("%s: verdict %s, want %s: %s %v", c.name, r.Verdict, c.want, r.Summary(), r.Problems)
		}
		var b bytes.Buffer
		if err := r.WriteMarkdown(&b); err != nil || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s: the report does not say %q (%v):\n%s", c.name, c.says, err, b.String())
		}
	}
	t.Run("reports", reports)
}

// stopping is a good backend whose Stop returns err after its work, or never when err is nil.
func stopping(err error) conformance.Backend {
	b := mutant.Backend(mutant.TCP)
	start := b.Start
	b.Start = func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
		i, startErr := start(ctx, c)
		if startErr != nil {
			return nil, startErr
		}
		stop := i.Stop
		i.Stop = func(ctx context.Context) error {
			if e := stop(ctx); e != nil || err != nil {
				return errors.Join(e, err)
			}
			select {}
		}
		return i, nil
	}
	return b
}

// reports: a mutant's files, read back.
func reports(t *testing.T) {
	dir := t.TempDir()
	b := mutant.Backend(mutant.TCP, refproxy.DialsFirst)
	r, err := conformance.Execute(t.Context(), b, conformance.Select(few), conformance.ReportDir(dir), conformance.TimeoutScale(0.2))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back conformance.Report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Verdict != r.Verdict || len(back.Checks) != len(conformance.Catalog()) || back.Count(conformance.Fail) != 2 {
		t.Errorf("report.json: verdict %s, %d checks, %d failed; want %s, %d, 2",
			back.Verdict, len(back.Checks), back.Count(conformance.Fail), r.Verdict, len(conformance.Catalog()))
	}
	if problems, err := conformance.Verify(bytes.NewReader(text)); err != nil || len(problems) > 0 {
		t.Errorf("report.json of a run: %v, %v", problems, err)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "junit.xml")); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, c := range doc.Cases {
		if c.Failure != nil && strings.Contains(*c.Failure, "NOT OK") {
			failed++
			wantProperties(t, c, strings.Clone, c.Name)
		}
	}
	if failed != 2 || doc.Failures != 2 {
		t.Errorf("junit.xml: %d <failure>, failures=%d; want 2", failed, doc.Failures)
	}
}

// TestConfiguration: what is refused before a run begins.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	good := mutant.Backend(mutant.TCP)
	change := func(f func(*conformance.Backend)) conformance.Backend {
		b := good
		f(&b)
		return b
	}
	for _, c := range []struct {
		name, says string
		b          conformance.Backend
		opt        conformance.Option
	}{
		{"no name", "Name", change(func(b *conformance.Backend) { b.Name = "" }), nil},
		{"no start", "Start", change(func(b *conformance.Backend) { b.Start = nil }), nil},
		{"unknown feature", `unknown feature "wildcard"`, change(func(b *conformance.Backend) {
			b.Features = conformance.Features(conformance.TCP, "wildcard")
		}), nil},
		{"no entry point", "entry point", change(func(b *conformance.Backend) { b.Features = conformance.Features() }), nil},
		{"baseline of no check", "DENY-999.x", change(func(b *conformance.Backend) { b.Known = baseline(t, "DENY-999.x why") }), nil},
		{"pattern without a match", "matches no check", good, conformance.Select("NONE-*")},
		{"bad pattern", "syntax", good, conformance.Select("[")},
		{"outside", "fake Internet", good, conformance.Select("DENY-*")},
	} {
		opts := []conformance.Option{}
		if c.opt != nil {
			opts = append(opts, c.opt)
		}
		_, err := conformance.Execute(t.Context(), c.b, opts...)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.says)
		}
	}
}

func TestParseBaseline(t *testing.T) {
	t.Parallel()
	b := baseline(t, "# comment\n\nDENY-001.no-tunnel  it lets all through\nHOST-001.tunnel\tcase\n")
	if got := strings.Join(b.IDs(), " "); got != "DENY-001.no-tunnel HOST-001.tunnel" {
		t.Errorf("ids: %s", got)
	}
	if why, ok := b.Reason("DENY-001.no-tunnel"); !ok || why != "it lets all through" {
		t.Errorf("reason: %q, %v", why, ok)
	}
	for _, bad := range []string{"DENY-001.no-tunnel", "A.b x\nA.b y"} {
		if _, err := conformance.ParseBaseline(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, ok := (*conformance.Baseline)(nil).Reason("x"); ok {
		t.Error("the nil baseline lists something")
	}
}
