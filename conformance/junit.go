// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

type junitSuite struct {
	XMLName    xml.Name        `xml:"testsuite"`
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name       string          `xml:"name,attr"`
	Class      string          `xml:"classname,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Skipped    *junitMessage   `xml:"skipped"`
	Error      *junitMessage   `xml:"error"`
	Failure    *junitMessage   `xml:"failure"`
	Log        string          `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes one test case for every check, with its requirement, level and the place in the
// specification as properties. Known failures and what does not apply are skipped. What went wrong outside
// any check, and a run in which nothing was carried out, is an error of one test case more, "run".
func (r *Report) WriteJUnit(w io.Writer) error {
	r = r.clean()
	s := junitSuite{
		Name: printable(r.Backend.Name), Failures: r.Count(Fail) + r.Count(Stale), Errors: r.Count(Error),
		Skipped: r.Count(NA) + r.Count(Known) + r.Count(Deselected), Time: seconds(r.Millis),
		Timestamp: r.Started.Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{
			{"backend", printable(r.Backend.Name)}, {"version", printable(r.Backend.Version)}, {"spec", r.Spec}, {"suite", r.Suite},
			{"verdict", string(r.Verdict)}, {"claimed", strings.Join(names(r.Backend.Claimed), ", ")},
		},
	}
	for _, c := range r.Checks {
		s.Cases = append(s.Cases, r.junitCase(c))
	}
	if len(r.Problems) > 0 || r.Verdict == VerdictInvalid && s.Errors == 0 {
		text := strings.Join(append(r.Problems, r.Summary()), "\n")
		s.Cases = append(s.Cases, junitCase{
			Name: "run", Class: s.Name, Time: "0.000", Error: &junitMessage{string(Error), printable(text)},
		})
		s.Errors++
	}
	s.Tests = len(s.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Report) junitCase(c CheckReport) junitCase {
	out := junitCase{Name: c.ID, Class: printable(r.Backend.Name), Time: seconds(c.Millis), Properties: properties(c)}
	switch c.Outcome {
	case Pass:
	case NA, Known, Deselected:
		out.Skipped = &junitMessage{Message: printable(fmt.Sprintf("%s: %s", c.Outcome, c.Reason))}
	case Fail, Stale:
		out.Failure = &junitMessage{string(c.Outcome), printable(c.Text())}
		out.Log = printable(c.Log)
	default: // Error, and whatever a report that was read from a file calls an outcome
		out.Error = &junitMessage{printable(string(c.Outcome)), printable(c.Text())}
		out.Log = printable(c.Log)
	}
	return out
}

// properties are what a reader of JUnit files, ours or ginkgo's, can sort by.
func properties(c CheckReport) []junitProperty {
	out := []junitProperty{
		{"id", c.ID}, {"requirement", c.Requirement}, {"level", c.Level},
		{"spec", specURL(requirements()[c.Requirement].anchor)}, {"outcome", string(c.Outcome)},
	}
	if len(c.Findings) > 0 {
		out = append(out, junitProperty{"evidence", c.Findings[0].Kind})
	}
	return out
}

func seconds(millis int64) string { return fmt.Sprintf("%.3f", float64(millis)/1000) }
