// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, id string
		want        bool
	}{
		{"DENY", "DENY-001.names", true},
		{"DENY-001", "DENY-001.names", true},
		{"DENY-001.names", "DENY-001.names", true},
		{"DENY-00*.names", "DENY-001.names", true},
		{"DENY-001.*", "DENY-001.names", true},
		{"DENY-00", "DENY-001.names", false},
		{"DEN", "DENY-001.names", false},
		{"DENY-001.name", "DENY-001.names", false},
		{"deny", "DENY-001.names", false},
		{"", "DENY-001.names", false},
		{"[", "DENY-001.names", false},
	} {
		if got := conformance.Matches(c.pattern, c.id); got != c.want {
			t.Errorf("Matches(%q, %q) = %v, want %v", c.pattern, c.id, got, c.want)
		}
	}
}
