// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package naive puts a forward proxy of sixty lines through the suite: net/http for the server, httputil for plain
// requests, a map of host names compared with Request.Host. It is nobody's product; it stands for the proxies
// people write into their own programs. So it is configured by nothing but the names, and has no limits and no
// time-outs, as net/http has none until it is told. It does keep the bytes that Hijack returns, which is often forgotten:
// without them CONNECT-004 fails now and then. What it does not do is written in baseline.txt, with the reason.
package naive

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

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
		Name:     "naive",
		Version:  runtime.Version(),
		Features: conformance.Features(conformance.TCP, conformance.DeathReport),
		Known:    backend.Baseline(baseline),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			names, err := hostNames(c)
			if err != nil {
				return nil, err
			}
			return backend.Self(ctx, c, names)
		},
	}, backend.Reports()...)
}

// hostNames refuses what a map of names cannot say.
func hostNames(c conformance.Config) (string, error) {
	if len(c.Deny) > 0 {
		return "", errors.New("backends: the naive proxy knows no deny rules")
	}
	allow, err := rules.ParseAll(c.Allow)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range allow {
		if r.Kind != rules.Exact || r.Ports != nil {
			return "", fmt.Errorf("backends: the naive proxy knows host names only, not %s", r.Line)
		}
		b.WriteString(r.Host + "\n")
	}
	return b.String(), nil
}
