// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command execute runs the conformance suite without a test framework, against a proxy in a process of its own: this
// program once more, with the word "proxy" in front. It prints what failed and exits like egressconform does.
//
//	go run . [PATTERN…]
package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/fixtures"
)

//go:embed baseline.txt
var baseline string

func main() {
	if len(os.Args) > 3 && os.Args[1] == "proxy" {
		if err := serve(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
			fmt.Fprintln(os.Stderr, "proxy:", err)
			os.Exit(1)
		}
		return
	}
	if err := fixtures.Enter(); err != nil { // starts this program again, in a network of our own
		fmt.Fprintln(os.Stderr, "execute:", err)
		os.Exit(3)
	}
	os.Exit(judge(os.Args[1:]))
}

// judge runs the checks that match the patterns, or all.
func judge(patterns []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	known, err := conformance.ParseBaseline(strings.NewReader(baseline))
	if err != nil {
		fmt.Fprintln(os.Stderr, "execute:", err)
		return 2
	}
	report, err := conformance.Execute(ctx, conformance.Backend{
		Name:     "example",
		Version:  "1.0",
		Features: conformance.Features(conformance.TCP),
		Known:    known,
		Start:    start,
	}, conformance.Select(patterns...), conformance.Progress(show))
	if err != nil {
		fmt.Fprintln(os.Stderr, "execute:", err)
		return 3
	}
	fmt.Println(report.Summary())
	switch report.Verdict {
	case conformance.VerdictConformant, conformance.VerdictPartial:
		return 0
	case conformance.VerdictNotConformant:
		return 1
	}
	return 3
}

// show prints a check that needs somebody's attention.
func show(c conformance.CheckReport) {
	switch c.Outcome {
	case conformance.Fail, conformance.Stale, conformance.Error:
		fmt.Println(c.Text())
	}
}
