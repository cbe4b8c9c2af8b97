// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package goproxy puts the library github.com/elazarl/goproxy through the suite, in a small program of ours. The
// program does what the library's documentation shows: a handler for CONNECT that rejects what is on no list, a
// handler that refuses plain requests, and a ConnectDial. It checks addresses in net.Dialer.Control, where Go
// programs do it, because the library does not resolve names itself; it sets net/http's limits of time and size,
// because the library leaves the server to its user; and it keeps the bytes sent behind the head, which the
// library by itself loses when they come early (CONNECT-004). What remains is written in baseline.txt, with the reason.
package goproxy

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/rules"
)

//go:embed baseline.txt
var baseline string

func TestMain(m *testing.M) {
	backend.ServeSelf(serve)
	backend.Main(m)
}

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name:    "goproxy",
		Version: backend.ModuleVersion(t, "github.com/elazarl/goproxy"),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.AnyName, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: start,
	}, backend.Reports()...)
}

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	if len(c.Deny) > 0 {
		return nil, errors.New("backends: the program around goproxy has an allow list only")
	}
	allow, err := rules.ParseAll(c.Allow)
	if err != nil {
		return nil, err
	}
	s := settings{HeadTimeout: c.HeadTimeout}
	if s.HeadTimeout == 0 {
		s.HeadTimeout = 10 * time.Second
	}
	for _, r := range allow {
		if r.Kind == rules.Address || r.Ports != nil {
			return nil, fmt.Errorf("backends: the program around goproxy knows host names only, not %s", r.Line)
		}
		s.Names = append(s.Names, r.Regexp())
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("backends: %w", err)
	}
	return backend.Self(ctx, c, string(text))
}
