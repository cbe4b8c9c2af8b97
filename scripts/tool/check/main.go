// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command check runs every check of the repository: what scripts/test starts once scripts/setup is through.
//
//	check [--list] [STEP…]
//
// Without a step it runs all of them. Nothing stops at the first failure: the end of the output names every step that
// failed and everything that was skipped, with the reason. Skipping is allowed on a developer's machine; where CI=true
// it is a failure. The last line is "N passed, N failed", counted in tests, ginkgo specs and steps that have neither.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, errFailed) {
		fmt.Fprintln(os.Stderr, "check:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	list := slices.Contains(args, "--list")
	wanted := slices.DeleteFunc(args, func(a string) bool { return a == "--list" })
	tree, err := findTree(ctx)
	if err != nil {
		return err
	}
	steps, err := choose(allSteps(tree), wanted)
	if err != nil {
		return err
	}
	if list {
		for _, s := range steps {
			fmt.Printf("%-24s %s\n", s.name, s.about)
		}
		return nil
	}
	tmp, err := os.MkdirTemp("", "sallyport-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	// Programs that other users of this machine are to run are built here.
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	tree.tmp = tmp
	defer tree.engine.stop() // before its directory goes
	r := newReport(os.Stdout, os.Getenv("CI") == "true")
	r.runAll(ctx, steps)
	return r.finish()
}

// choose returns the steps whose names are wanted, in the order of all; a name may be a prefix that ends in ":"
// ("conformance:" is every backend). No name at all means every step.
func choose(all []step, wanted []string) ([]step, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	var chosen []step
	for _, s := range all {
		if slices.ContainsFunc(wanted, s.answersTo) {
			chosen = append(chosen, s)
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(s step) bool { return s.answersTo(w) }) {
			return nil, fmt.Errorf("no step is called %q: see scripts/test --list", w)
		}
	}
	return chosen, nil
}

func (s step) answersTo(name string) bool {
	return s.name == name || strings.HasSuffix(name, ":") && strings.HasPrefix(s.name, name)
}
