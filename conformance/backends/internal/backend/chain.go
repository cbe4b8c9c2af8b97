// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/external"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// Chain starts the built-in proxy for c, and behind it the program of spec, which admits everything. Its death is that of
// the external program.
func Chain(ctx context.Context, c conformance.Config, spec external.Spec) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: a chain is entered by TCP")
	}
	b, err := BuiltIn(c)
	if err != nil {
		return nil, err
	}
	mark := rand.Text()
	spec.Env = append(spec.Env, MarkVariable+"="+mark)
	spec.Output = c.Log
	user, password := spec.Credentials()
	h, err := external.Chain(ctx, b, spec.Start, external.ChainOptions{
		User: user, Password: password, Lookup: proxycore.LookupHere,
	})
	if err != nil {
		return nil, err
	}
	i := Instance(h)
	i.Kill = func(ctx context.Context) error { return KillMarked(ctx, mark, h.Done()) }
	return i, nil
}
