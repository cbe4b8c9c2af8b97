// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"math"
	"testing"
)

// TestParseIDMap: every id is mapped to itself, also where an int cannot hold the number of all.
func TestParseIDMap(t *testing.T) {
	t.Parallel()
	all := "[{0 0 4294967295}]"
	if math.MaxInt == math.MaxInt32 {
		all = "[{0 0 2147483647} {2147483647 2147483647 2147483647}]"
	}
	for text, want := range map[string]string{
		"         0          0 4294967295\n": all,
		"0 1000 1\n1 100000 65536\n":         "[{0 0 1} {1 1 65536}]",
		"":                                   "[]",
	} {
		if got, err := parseIDMap(text); err != nil || fmt.Sprint(got) != want {
			t.Errorf("parseIDMap(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"0 0\n", "0 0 -1\n", "0 0 4294967296\n", "x 0 1\n"} {
		if got, err := parseIDMap(text); err == nil {
			t.Errorf("parseIDMap(%q) = %v, want an error", text, got)
		}
	}
}
