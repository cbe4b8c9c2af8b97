// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package chainedunix puts the built-in proxy through the suite with a proxy behind it that listens on a Unix socket:
// open_test.go, in a process of its own. There is no baseline: the program behind carries bytes as they are, so all that
// the built-in proxy does by itself it does in a chain.
package chainedunix

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/external"
)

// openArgument makes the test binary the proxy behind, when it is its first argument.
const openArgument = "open-proxy"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == openArgument {
		fmt.Fprintln(os.Stderr, "backends:", serve(os.Args[2]))
		os.Exit(1)
	}
	backend.Main(m)
}

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name:     "chained-unix",
		Version:  "development",
		Features: backend.PolicyFeatures(conformance.TCP, conformance.DeathReport),
		Start:    start,
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("backends: finding the test binary: %w", err)
	}
	return backend.Chain(ctx, c, external.Spec{
		Argv: []string{self, openArgument, "{socket}"}, Socket: true, Unfiltered: true,
	})
}
