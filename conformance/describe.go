// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
)

// Describe adds the suite to a ginkgo tree of the caller's, as one ordered container. b is called when the
// container's first spec runs, not when the tree is built, so that a BeforeEach or BeforeAll around it can
// prepare the backend.
//
// Every check is always in the tree. One that does not apply to what the backend claims is skipped with
// its reason; no check body ever skips. The caller's fail handler is left alone.
func Describe(b func() Backend, opts ...Option) bool {
	return ginkgo.Describe("egress conformance", ginkgo.Ordered, ginkgo.ContinueOnFailure, func() {
		var r *run
		ginkgo.BeforeAll(func() {
			var err error
			if r, err = newRun(b(), opts); err == nil {
				err = r.open()
			}
			if err != nil {
				r = nil
				ginkgo.Fail(err.Error())
			}
		})
		for _, c := range checks.All() {
			ginkgo.It(c.ID+" "+c.Summary, labels(c), func(ctx ginkgo.SpecContext) {
				r.one(ctx, c)
				settle(r)
			})
		}
		ginkgo.AfterAll(func() {
			if r == nil {
				return
			}
			report := r.close()
			if err := r.o.write(report); err != nil {
				ginkgo.Fail(err.Error())
			}
			ginkgo.AddReportEntry("verdict", report.Summary(), types.ReportEntryVisibilityAlways)
			fmt.Fprintln(ginkgo.GinkgoWriter, report.Summary())
			if len(report.Problems) > 0 {
				ginkgo.Fail(strings.Join(report.Problems, "\n"))
			}
		})
	})
}

// labels are what a label filter can select by. The slash and the comma have a meaning of their own there.
func labels(c check.Check) ginkgo.Labels {
	req := requirements()[c.Requirement()]
	area, _, _ := strings.Cut(strings.ToLower(c.ID), "-")
	l := ginkgo.Labels{"area: " + area, "level: " + strings.ToLower(req.level), "id: " + c.Requirement()}
	for _, f := range c.Needs {
		l = append(l, "feature: "+f)
	}
	if c.Slow {
		l = append(l, "cost: slow")
	}
	return l
}

// settle tells ginkgo how a check came out. What it says comes from the report, which is clean of secrets. The
// report entries are the properties of the test case in ginkgo's JUnit file.
func settle(r *run) {
	c := r.report.Checks[len(r.report.Checks)-1]
	for _, p := range properties(c) {
		ginkgo.AddReportEntry(p.Name, p.Value, types.ReportEntryVisibilityNever)
	}
	switch c.Outcome {
	case Pass:
	case NA, Known, Deselected:
		ginkgo.Skip(fmt.Sprintf("%s: %s", c.Outcome, c.Reason), 1)
	default:
		if c.Log != "" {
			fmt.Fprintf(ginkgo.GinkgoWriter, "the proxy said:\n%s\n", c.Log)
		}
		ginkgo.Fail("\n"+c.Text(), 1)
	}
}
