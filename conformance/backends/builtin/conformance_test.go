// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package builtin puts the built-in proxy, listening on TCP, through the suite.
package builtin

import (
	"context"
	"errors"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
)

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name:     "builtin",
		Version:  "development",
		Features: backend.ChainFeatures(conformance.TCP, conformance.DeathReport),
		Start:    start,
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: without the socket bridge there is no unix socket")
	}
	b, err := backend.Chaining(c)
	if err != nil {
		return nil, err
	}
	kill := backend.Mortal(&b)
	h, err := b.Start(ctx)
	if err != nil {
		return nil, err
	}
	i := backend.Instance(h)
	i.Kill = func(ctx context.Context) error { return kill(ctx, i) }
	return i, nil
}
