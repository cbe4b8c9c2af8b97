// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

// The example of README.md is this program, so that what a stranger copies is what the rehearsal runs.
func TestReadmeShowsThisProgram(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(source), "\npackage main\n")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "```go\npackage main\n" + program + "```\n"; !strings.Contains(string(readme), want) {
		t.Errorf("README.md does not hold scripts/downstream/main.go from its package clause on; want\n%s", want)
	}
}
