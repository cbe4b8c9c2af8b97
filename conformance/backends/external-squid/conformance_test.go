// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package externalsquid puts Squid, as the preset of external configures it, through the suite. The only thing added
// is the time that a client has for its head. What Squid cannot do is written in baseline.txt, with the reason.
package externalsquid

import (
	"context"
	_ "embed"
	"fmt"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
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
	spec, err := backend.Preset("squid", c, nil)
	if err != nil {
		return nil, err
	}
	if c.HeadTimeout > 0 {
		// The last one counts.
		seconds := backend.Seconds(c.HeadTimeout)
		spec.Config += fmt.Sprintf("request_start_timeout %d seconds\nrequest_timeout %d seconds\n", seconds, seconds)
	}
	return backend.External(ctx, c, spec)
}
