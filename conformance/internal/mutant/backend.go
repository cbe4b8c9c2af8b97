// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package mutant holds the suite's own test: a table of faults, each with the check that has to notice it
// and the witness that check has to rest on. A check that no fault kills would report "pass" for every
// proxy ever written, and does not count.
package mutant

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// Entry is the way into the reference proxy.
type Entry string

// Entries.
const (
	TCP     Entry = "tcp"     // its port; the socket and the sandbox are there too
	Unix    Entry = "unix"    // a unix socket
	Sandbox Entry = "sandbox" // only from inside its sandbox
	Bare    Entry = "bare"    // its port, and no feature is claimed beyond that
)

// Backend is the reference proxy with faults.
func Backend(e Entry, faults ...refproxy.Fault) conformance.Backend {
	b := conformance.Backend{
		Name: "reference", Version: string(e), Features: features(e),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			if e == Launcher {
				return launch(ctx, c, faults)
			}
			return start(e, c, faults)
		},
	}
	return b
}

func features(e Entry) conformance.FeatureSet {
	policy := []conformance.Feature{
		conformance.Wildcards, conformance.DeepWildcards, conformance.AnyName, conformance.PortRules,
		conformance.AddressRules, conformance.DenyRules, conformance.Reasons, conformance.DeathReport,
		conformance.UpstreamHTTP, conformance.UpstreamTLS, conformance.UpstreamSOCKS, conformance.UpstreamUnix, conformance.UpstreamAuth,
	}
	switch e {
	case Launcher:
		return launcherFeatures()
	case Unix:
		return conformance.Features(append(policy, conformance.Unix)...)
	case Sandbox:
		return conformance.Features(append(policy, conformance.Sandbox, conformance.Transparent)...)
	case Bare:
		return conformance.Features(conformance.TCP)
	}
	return conformance.Features(append(policy, conformance.TCP, conformance.Unix, conformance.Sandbox, conformance.Transparent)...)
}

func start(e Entry, c conformance.Config, faults refproxy.Faults) (*conformance.Instance, error) {
	if err := unlaunched(c, faults); err != nil {
		return nil, err
	}
	o := refproxy.Options{
		Allow: c.Allow, Deny: c.Deny, Port: c.Port, SocketPath: c.SocketPath, HeadTimeout: c.HeadTimeout,
		Bare: e == Bare, NoTCP: e == Unix || e == Sandbox, Faults: faults,
		Upstream: (*refproxy.Upstream)(c.Upstream), Log: c.Log, Transparent: c.Transparent,
	}
	if e == Unix && o.SocketPath == "" {
		o.SocketPath = filepath.Join(c.Dir, "s")
	}
	if e == Unix && c.Transparent {
		return nil, errors.New("mutant: this entry has no sandbox")
	}
	if e == Sandbox && c.SocketPath != "" {
		return nil, errors.New("mutant: this entry has no socket")
	}
	p, err := refproxy.Start(o)
	if err != nil {
		return nil, err
	}
	inst := &conformance.Instance{
		Addr: p.Addr(), SocketPath: p.SocketPath(), CABundle: p.CABundle(), Done: p.Done(),
		Stop: func(context.Context) error { return p.Close() },
		Kill: func(context.Context) error { p.Kill(); return nil },
	}
	if e != TCP && e != Sandbox {
		return inst, nil
	}
	door, err := p.Doors(c.Dir)
	if err != nil {
		return nil, err
	}
	inst.Launch = func(ctx context.Context, l conformance.LaunchConfig) (*exec.Cmd, error) {
		return p.Command(ctx, door, refproxy.Launch(l))
	}
	return inst, nil
}
