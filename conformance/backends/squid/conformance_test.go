// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package squid puts Squid, as strictly configured as it can be, through the suite. What it cannot do is
// written in baseline.txt, with the reason.
package squid

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
	program := backend.Program(t, "squid")
	conformance.Run(t, conformance.Backend{
		Name:    "squid",
		Version: backend.Version(t, program, "-v"),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.AnyName,
			conformance.PortRules, conformance.AddressRules, conformance.DenyRules, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(ctx, program, c)
		},
	}, backend.Reports()...)
}

func start(ctx context.Context, program string, c conformance.Config) (*conformance.Instance, error) {
	text, err := configFile(c)
	if err != nil {
		return nil, err
	}
	config, err := backend.WriteFile(c.Dir, "squid.conf", text)
	if err != nil {
		return nil, err
	}
	// -n is the service name, through which the configuration learns the port.
	return backend.External(ctx, c, external.Spec{Argv: []string{program, "-N", "-d", "1", "-n", "{port}", "-f", config}})
}
