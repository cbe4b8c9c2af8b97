// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"sync/atomic"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/extensions/globals"
)

// ran counts the calls of Run in this process.
var ran atomic.Int32

// Run runs the whole suite against b, as a ginkgo suite of its own, and fails t when b does not conform:
// when a check fails, when the baseline is stale, and when the run was invalid. The flags of ginkgo
// apply (-ginkgo.label-filter, -ginkgo.junit-report and so on).
//
// TestMain must have called fixtures.Enter. Run may be called several times in one process, one call
// after another. A package that has a ginkgo suite already uses Describe instead.
func Run(t *testing.T, b Backend, opts ...Option) {
	t.Helper()
	if _, err := newRun(b, opts); err != nil {
		t.Fatal(err)
	}
	if ran.Add(1) > 1 {
		// ginkgo has one tree a process; the one there is was built by the previous call.
		globals.Reset()
	}
	Describe(func() Backend { return b }, opts...)
	ginkgo.RunSpecs(failer{t}, "egress conformance of "+b.Name)
}

// failer is the part of testing.T that ginkgo needs. Helper texts go to ginkgo's own output.
type failer struct{ t *testing.T }

func (f failer) Fail() { f.t.Fail() }
