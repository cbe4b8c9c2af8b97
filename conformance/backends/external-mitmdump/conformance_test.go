// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package externalmitmdump puts mitmdump, as the preset of external configures it, through the suite. It intercepts
// nothing: what is in a tunnel is the suite's own, and mostly neither TLS nor HTTP. Each start takes seconds;
// therefore ./scripts/test leaves out the checks that start many instances or wait, and scripts/peers runs all.
// What mitmproxy cannot do is written in baseline.txt, with the reason.
package externalmitmdump

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
		Name:    "external-mitmdump",
		Version: backend.Version(t, backend.Program(t, "mitmdump"), "--version"),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.AnyName,
			conformance.PortRules, conformance.AddressRules, conformance.DenyRules, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: start,
	}, backend.Reports("CONNECT-*", "DENY-*", "HOST-*", "ADDR-*", "PORT-*", "HEAD-*")...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	spec, err := backend.Preset("mitmdump", c, external.Policy{
		Allow: c.Allow, Deny: c.Deny, HeadTimeout: c.HeadTimeout, Intercept: external.InterceptNothing,
	})
	if err != nil {
		return nil, err
	}
	return backend.Launched(ctx, c, spec)
}
