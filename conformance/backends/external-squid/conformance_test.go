// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package externalsquid puts Squid, as the preset of external configures it, through the suite. What Squid
// cannot do is written in baseline.txt, with the reason.
package externalsquid

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
		Name:    "external-squid",
		Version: backend.Version(t, backend.Program(t, "squid"), "-v"),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.AnyName,
			conformance.PortRules, conformance.AddressRules, conformance.DenyRules, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: start,
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	spec, err := backend.Preset("squid", c, external.Policy{Allow: c.Allow, Deny: c.Deny, HeadTimeout: c.HeadTimeout})
	if err != nil {
		return nil, err
	}
	return backend.Launched(ctx, c, spec)
}
