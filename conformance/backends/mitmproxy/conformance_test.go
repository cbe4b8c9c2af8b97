// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package mitmproxy puts mitmdump through the suite, with an addon that keeps an allow list (allowlist.py). TLS is
// not intercepted, because the policy needs no more than the target of CONNECT: the addon makes every tunnel a plain
// relay, without the guess at its protocol for which mitmproxy waits for three bytes. Plain requests are answered with 405 by the addon. Each start takes two seconds; therefore ./scripts/test leaves out the
// checks that start many instances or wait, and scripts/peers runs all. What it cannot do is written in
// baseline.txt, with the reason.
package mitmproxy

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/rules"
	"github.com/sallyport-dev/sallyport/external"
)

var (
	//go:embed baseline.txt
	baseline string
	//go:embed allowlist.py
	addon string
)

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	program := backend.Program(t, "mitmdump")
	conformance.Run(t, conformance.Backend{
		Name:    "mitmproxy",
		Version: backend.Version(t, program, "--version"),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(ctx, program, c)
		},
	}, backend.Reports("CONNECT-*", "DENY-*", "HOST-*", "ADDR-*", "PORT-*", "HEAD-*")...)
}

func start(ctx context.Context, program string, c conformance.Config) (*conformance.Instance, error) {
	names, err := nameFile(c)
	if err != nil {
		return nil, err
	}
	list, err := backend.WriteFile(c.Dir, "names", names)
	if err != nil {
		return nil, err
	}
	script, err := backend.WriteFile(c.Dir, "allowlist.py", addon)
	if err != nil {
		return nil, err
	}
	return backend.External(ctx, c, external.Spec{
		Argv: []string{program, "--listen-host", "127.0.0.1", "--listen-port", "{port}", "--set", "confdir=" + c.Dir,
			"--scripts", script, "--set", "allowlist=" + list, "--set", "flow_detail=0"},
		// Python takes its time to start.
		StartTimeout: 20 * time.Second,
	})
}

// nameFile refuses what the addon has no words for.
func nameFile(c conformance.Config) (string, error) {
	if len(c.Deny) > 0 {
		return "", errors.New("backends: the addon has an allow list only")
	}
	allow, err := rules.ParseAll(c.Allow)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range allow {
		if r.Kind == rules.Any || r.Kind == rules.Address || r.Ports != nil {
			return "", fmt.Errorf("backends: the addon knows names only, because the hooks of mitmproxy see no addresses: %s", r.Line)
		}
		b.WriteString(r.Regexp() + "\n")
	}
	return b.String(), nil
}
