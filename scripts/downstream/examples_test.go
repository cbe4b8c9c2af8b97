// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

// What conformance/README.md shows is the example that the rehearsal runs, and is as short as it says.
func TestConformanceReadmeShowsTheExample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../conformance/examples/run/conformance_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, functions, _ := strings.Cut(string(source), "\nfunc TestMain(")
	functions = "func TestMain(" + functions
	readme, err := os.ReadFile("../../conformance/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "```go\n" + functions + "```\n"; !strings.Contains(string(readme), want) {
		t.Errorf("conformance/README.md does not hold the functions of examples/run/conformance_test.go; want\n%s", want)
	}
	_, call, _ := strings.Cut(functions, "conformance.Run(")
	if n := strings.Count(call, "\n") - 1; n < 10 || n > 14 {
		t.Errorf("the call of conformance.Run has %d lines, and the README says 14", n)
	}
}
