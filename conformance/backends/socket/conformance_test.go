// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package socket puts the built-in proxy behind the socket bridge, without a TCP listener, through the suite.
package socket

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
)

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name:     "socket",
		Version:  "development",
		Features: backend.ChainFeatures(conformance.Unix, conformance.DeathReport),
		Start:    start,
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	c.Port = -1
	b, err := backend.Chaining(c)
	if err != nil {
		return nil, err
	}
	kill := backend.Mortal(&b)
	h, err := b.Start(ctx)
	if err != nil {
		return nil, err
	}
	path := c.SocketPath
	if path == "" {
		path = filepath.Join(c.Dir, "proxy.sock")
	}
	h, err = bridge.Socket{Path: path}.Start(ctx, h) // closes h on error
	if err != nil {
		return nil, err
	}
	i := backend.Instance(h)
	i.Kill = func(ctx context.Context) error { return kill(ctx, i) }
	return i, nil
}
