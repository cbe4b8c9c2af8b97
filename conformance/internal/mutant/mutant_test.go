// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"fmt"
	"os"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/fixtures"
)

func TestMain(m *testing.M) {
	if err := fixtures.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "the fake Internet cannot be entered here:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestReference: without faults the reference proxy passes everything that applies, by whatever way in.
func TestReference(t *testing.T) {
	for _, e := range []Entry{TCP, Unix, Sandbox, Bare} {
		t.Run(string(e), func(t *testing.T) {
			r, err := conformance.Execute(t.Context(), Backend(e))
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r.Summary(), r.Millis, "ms")
			for _, c := range r.Checks {
				if c.Millis > 100 {
					t.Log(c.ID, c.Millis, "ms")
				}
			}
			for _, c := range r.Checks {
				if o := c.Outcome; o != conformance.Pass && o != conformance.NA {
					t.Errorf("%s\n%s", c.Text(), c.Log)
				}
			}
			for _, p := range r.Problems {
				t.Error(p)
			}
		})
	}
}
