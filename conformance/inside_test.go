// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/mutant"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
	"github.com/sallyport-dev/sallyport/conformance/internal/rerun"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// envInside says what a child of the test is to do in a fake Internet of its own.
const envInside = "CONFORMANCE_TEST_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(envInside) != "" {
		if err := fixtures.Enter(); err != nil {
			fmt.Fprintln(os.Stderr, "the fake Internet cannot be entered here:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// inside runs the calling test once more, in a child, and returns its output and whether it passed. The child finds
// in the environment what it is to do: it is the same test, so that none is left for the parent to skip.
func inside(t *testing.T, test, what string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := rerun.Context(t, 4*time.Minute)
	defer cancel()
	out, err := rerun.Output(ctx, []string{envInside + "=" + what}, append([]string{"-test.run=^" + test + "$", "-test.v"}, args...)...)
	return string(out), err
}

const few = "DENY-00[1-3].*"

// TestBinding: the suite as a ginkgo suite, in children: what exit status, output and JUnit say.
func TestBinding(t *testing.T) {
	if what := os.Getenv(envInside); what != "" {
		insideBinding(t, what)
		return
	}
	for _, c := range []struct {
		what     string
		passes   bool
		failures []string
		says     []string
		args     []string
	}{
		{what: "good", passes: true},
		{what: "mutant", failures: []string{"DENY-002.no-dial", "DENY-002.no-lookup"},
			says: []string{"FAIL", "Rule", "A refused destination receives no connection", "Origin", "Control", "NOT OK", "[origin-dial]"}},
		{what: "start-fails", failures: []string{"DENY-001.no-tunnel"}, says: []string{"ERROR", "it never starts"}},
		{what: "embedded", passes: true, says: []string{"theirs ran"}},
		{what: "stale", failures: []string{"DENY-001.no-tunnel"}, says: []string{"STALE", "take it out"}},
		{what: "twice", passes: true},
		{what: "filtered", passes: true, args: []string{"-ginkgo.focus=DENY-003"}, says: []string{"partial: reference"}},
		{what: "incomplete", says: []string{"claims no entry point"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			junit := filepath.Join(t.TempDir(), "junit.xml")
			out, err := inside(t, "TestBinding", c.what, append(c.args, "-ginkgo.junit-report="+junit)...)
			if (err == nil) != c.passes {
				t.Fatalf("passed: %v, want %v (%v)\n%s", err == nil, c.passes, err, out)
			}
			for _, s := range c.says {
				if !strings.Contains(out, s) {
					t.Errorf("the output does not say %q:\n%s", s, out)
				}
			}
			if len(c.failures) > 0 {
				wantFailures(t, junit, c.failures)
			}
		})
	}
}

// wantFailures reads the JUnit file back: a file whose failures are empty would keep every CI green.
func wantFailures(t *testing.T, file string, ids []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Cases []junitCase `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		found := false
		for _, c := range doc.Cases {
			// ginkgo writes the values of properties in JSON
			if strings.Contains(c.Name, id) && c.Failure != nil {
				found = true
				wantProperties(t, c, strconv.Quote, id)
			}
		}
		if !found {
			t.Errorf("%s has no <failure> in the JUnit file", id)
		}
	}
}

// junitCase is a test case of a JUnit file, ours or ginkgo's.
type junitCase struct {
	Name       string  `xml:"name,attr"`
	Failure    *string `xml:"failure"`
	Properties []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"properties>property"`
}

// wantProperties: a failing MUST carries its id, level and the place of its requirement in SPEC.md.
func wantProperties(t *testing.T, c junitCase, written func(string) string, id string) {
	t.Helper()
	got := map[string]string{}
	for _, p := range c.Properties {
		got[p.Name] = p.Value
	}
	requirement, _, _ := strings.Cut(id, ".")
	for name, value := range map[string]string{"id": id, "requirement": requirement, "level": "MUST"} {
		if got[name] != written(value) {
			t.Errorf("%s: property %s is %s, want %s", id, name, got[name], written(value))
		}
	}
	if !strings.Contains(got["spec"], "SPEC.md#"+strings.ToLower(requirement)+"-") {
		t.Errorf("%s: property spec is %s", id, got["spec"])
	}
}

// insideBinding is what the children of TestBinding run.
func insideBinding(t *testing.T, what string) {
	good := mutant.Backend(mutant.TCP)
	switch what {
	case "good":
		conformance.Run(t, good, conformance.Select(few))
	case "mutant":
		conformance.Run(t, mutant.Backend(mutant.TCP, refproxy.DialsFirst), conformance.Select(few))
	case "start-fails":
		conformance.Run(t, mutant.Backend(mutant.TCP, refproxy.StartFails), conformance.Select(few))
	case "stale":
		known, err := conformance.ParseBaseline(strings.NewReader("DENY-001.no-tunnel it was once so\n"))
		if err != nil {
			t.Fatal(err)
		}
		good.Known = known
		conformance.Run(t, good, conformance.Select(few))
	case "twice":
		conformance.Run(t, good, conformance.Select(few))
		conformance.Run(t, mutant.Backend(mutant.Unix), conformance.Select(few))
	case "filtered":
		conformance.Run(t, good)
	case "incomplete":
		conformance.Run(t, conformance.Backend{Name: "x", Start: good.Start})
	case "embedded":
		embedded(t, good)
	default:
		t.Fatalf("%s=%s: nothing to do by that name", envInside, what)
	}
}

// embedded is somebody's ginkgo suite, with set-up of its own and a backend that is made by it.
func embedded(t *testing.T, good conformance.Backend) {
	var theirs *conformance.Backend
	ginkgo.BeforeSuite(func() { theirs = &good })
	ginkgo.AfterSuite(func() {})
	ginkgo.Describe("their suite", func() {
		ginkgo.It("has specs of its own", func() { fmt.Println("theirs ran") })
		conformance.Describe(func() conformance.Backend { return *theirs }, conformance.Select(few))
	})
	ginkgo.RunSpecs(t, "theirs")
}

// TestEngine runs the tests of Execute in one child.
func TestEngine(t *testing.T) {
	if os.Getenv(envInside) != "" {
		insideEngine(t)
		return
	}
	t.Parallel()
	out, err := inside(t, "TestEngine", "engine")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
