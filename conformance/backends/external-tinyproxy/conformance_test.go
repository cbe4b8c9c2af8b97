// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package externaltinyproxy puts tinyproxy, as the preset of external configures it, through the suite. tinyproxy does
// not judge the addresses of a name, and the preset refuses names unless somebody else does (GuardElsewhere). Here
// that is the proxy it goes through: a built-in one that admits every name, and refuses those with special
// addresses. Which names and ports get that far is tinyproxy's decision alone. What it cannot do is written in
// baseline.txt, with the reason.
package externaltinyproxy

import (
	"context"
	_ "embed"
	"errors"
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
		Name:    "external-tinyproxy",
		Version: backend.Version(t, backend.Program(t, "tinyproxy"), "-v"),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.PortRules, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: start,
		// The preset sets none: tinyproxy's only limit of time would end idle tunnels too.
		Restrictions: conformance.Restrictions{HeadTimeout: true},
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	guard, err := backend.BuiltIn(conformance.Config{Allow: []string{"*:*"}, Log: c.Log})
	if err != nil {
		return nil, err
	}
	behind, err := guard.Start(ctx)
	if err != nil {
		return nil, err
	}
	i, err := startFront(ctx, c, "http://"+behind.Addr())
	if err != nil {
		return nil, errors.Join(err, behind.Close())
	}
	stop := i.Stop
	i.Stop = func(ctx context.Context) error { return errors.Join(stop(ctx), behind.Close()) }
	return i, nil
}

func startFront(ctx context.Context, c conformance.Config, upstream string) (*conformance.Instance, error) {
	spec, err := backend.Preset("tinyproxy", c, external.Policy{
		Allow: c.Allow, Deny: c.Deny, Upstream: upstream, GuardElsewhere: true,
	})
	if err != nil {
		return nil, err
	}
	return backend.Launched(ctx, c, spec)
}
