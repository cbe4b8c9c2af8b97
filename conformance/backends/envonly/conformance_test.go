// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package envonly puts environment variables alone through the suite: the built-in proxy on TCP, and commands that
// are started with the variables that name it and with no isolation whatever. It is what most programs mean by "use
// a proxy". What it does not do is written in baseline.txt, with the reason.
package envonly

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
)

//go:embed baseline.txt
var baseline string

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name:     "envonly",
		Version:  "development",
		Features: backend.PolicyFeatures(conformance.Sandbox),
		Known:    backend.Baseline(baseline),
		Start:    start,
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: variables name a TCP port, there is no unix socket")
	}
	b, err := backend.BuiltIn(c)
	if err != nil {
		return nil, err
	}
	h, err := b.Start(ctx)
	if err != nil {
		return nil, err
	}
	i := backend.Instance(h)
	i.Addr = nil // it is entered as its commands enter it: by the variables
	i.Launch = func(ctx context.Context, l conformance.LaunchConfig) (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, l.Path, l.Args...)
		cmd.Env = append(h.Environ(os.Environ()), l.Env...)
		return cmd, nil
	}
	return i, nil
}
