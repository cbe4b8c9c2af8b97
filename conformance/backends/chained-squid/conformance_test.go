// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package chainedsquid puts the built-in proxy with Squid behind it through the suite, as `sallyport run --external
// squid` starts the two: the built-in one decides, resolves and judges, and sends Squid addresses; Squid admits
// everything, to who has its credentials. What Squid does to the tunnels is written in baseline.txt, with the reason.
package chainedsquid

import (
	"context"
	_ "embed"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/external"
)

//go:embed baseline.txt
var baseline string

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name:     "chained-squid",
		Version:  backend.Version(t, backend.Program(t, "squid"), "-v"),
		Features: backend.PolicyFeatures(conformance.TCP, conformance.DeathReport),
		Known:    backend.Baseline(baseline),
		Start:    start,
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	spec, err := backend.Preset("squid", c, external.Policy{Unfiltered: true})
	if err != nil {
		return nil, err
	}
	return backend.Chain(ctx, c, spec)
}
