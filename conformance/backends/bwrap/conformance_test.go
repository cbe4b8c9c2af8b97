// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package bwrap puts the built-in proxy through the suite from inside a sandbox made by bubblewrap.
package bwrap

import (
	"context"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
)

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	backend.Program(t, "bwrap")
	conformance.Run(t, conformance.Backend{
		Name:     "bwrap",
		Version:  "development",
		Features: backend.ChainFeatures(conformance.Sandbox, conformance.Transparent),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			return backend.Sandboxed(ctx, c, bridge.Bwrap)
		},
	}, backend.Reports()...)
}
