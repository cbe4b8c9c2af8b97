// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package launcher puts what starts external proxies, rather than a proxy, through the suite: the programs of the area
// EXTERNAL, and for all other areas the suite's own proxy as such a program.
package launcher

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/external"
)

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name:     "launcher",
		Version:  "development",
		Features: backend.PolicyFeatures(conformance.TCP, conformance.DeathReport, conformance.Launcher),
		Start:    start,
	}, backend.Reports()...)
}

// grace is what a program of the suite gets to end by itself: those that end do so at once.
const grace = 500 * time.Millisecond

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	if c.Upstream != nil {
		return nil, errors.New("backends: the suite's programs go through no other proxy")
	}
	if c.Child == nil {
		own, err := conformance.ChildOf(c)
		if err != nil {
			return nil, err
		}
		c.Child = own
	}
	return backend.Launched(ctx, c, external.Spec{
		Argv: append([]string{c.Child.Path}, arguments(c.Child.Args)...), Probe: denied(c.Allow),
		StartTimeout: -1, StopGrace: grace,
	})
}

// arguments keeps words of the suite's from being taken for placeholders, but for the port.
func arguments(args []string) []string {
	keep := strings.NewReplacer(
		"{addr}", "{{addr}}", "{socket}", "{{socket}}", "{config}", "{{config}}", "{dir}", "{{dir}}")
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = keep.Replace(a)
	}
	return out
}

// denied is a target that the policy denies, where it admits every name: a private address, which is there on the
// suite's network. "" is for Spec to choose.
func denied(allow []string) string {
	if slices.ContainsFunc(allow, func(line string) bool { return line == "*" || strings.HasPrefix(line, "*:") }) {
		return "10.9.8.7:443"
	}
	return ""
}
