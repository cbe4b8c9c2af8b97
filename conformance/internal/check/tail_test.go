// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"strings"
	"testing"
)

// TestTail: the end of the output, and no line without its beginning.
func TestTail(t *testing.T) {
	t.Parallel()
	var short, long, line tail
	fmt.Fprint(&short, "a\n", "b")
	if got := short.String(); got != "a\nb" {
		t.Errorf("short: got %q", got)
	}
	fmt.Fprint(&long, "TOKEN=", strings.Repeat("x", 100), "\n", strings.Repeat("y", tailBytes-50), "\nz")
	if got := long.String(); got != "…\n"+strings.Repeat("y", tailBytes-50)+"\nz" {
		t.Errorf("long: got %.20q…, %d bytes", got, len(got))
	}
	fmt.Fprint(&line, "TOKEN=", strings.Repeat("x", tailBytes))
	if got := line.String(); got != "…\n" {
		t.Errorf("one line: got %.20q…, %d bytes", got, len(got))
	}
}
