// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package backend holds what the backends under test have in common.
package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/fixtures"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// Main runs a backend's tests on the fake Internet and ends the process.
func Main(m *testing.M) {
	bridge.Init()
	// The race detector makes a process sleep for a second before it exits. The suite starts this very
	// program hundreds of times inside a sandbox, each time for one connection.
	os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	if err := fixtures.Enter(); err != nil {
		// No skip: a suite that quietly tests nothing is worse than one that fails.
		fmt.Fprintln(os.Stderr, "backends: nothing was tested:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// PolicyFeatures are the policy features of proxycore.
func PolicyFeatures(more ...conformance.Feature) conformance.FeatureSet {
	return conformance.Features(append(more,
		conformance.Wildcards, conformance.DeepWildcards, conformance.AnyName, conformance.PortRules,
		conformance.AddressRules, conformance.DenyRules, conformance.Reasons)...)
}

// Plain returns an error for what c asks for and most backends do not do: to start a program of somebody else's, to
// go through another proxy.
func Plain(c conformance.Config) error {
	switch {
	case c.Child != nil:
		return errors.New("backends: this backend launches no program but its own")
	case c.Transparent:
		return errors.New("backends: this backend makes no transparent sandbox")
	case c.Upstream != nil:
		return errors.New("backends: this backend goes through no other proxy")
	}
	return nil
}

// BuiltIn is the built-in proxy as c asks for it. A caller that wants no TCP listener sets Port to -1.
func BuiltIn(c conformance.Config) (proxycore.BuiltIn, error) {
	if err := Plain(c); err != nil {
		return proxycore.BuiltIn{}, err
	}
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: c.Allow, Deny: c.Deny})
	if err != nil {
		return proxycore.BuiltIn{}, err
	}
	return proxycore.BuiltIn{
		Port: c.Port,
		Config: proxycore.Config{
			Filter:      filter,
			HeadTimeout: c.HeadTimeout,
			Logger:      slog.New(slog.NewTextHandler(c.Log, nil)),
			Record: func(r proxycore.Record) error {
				line, err := r.MarshalJSON()
				if err == nil {
					_, err = c.Log.Write(append(line, '\n'))
				}
				return err
			},
		},
	}, nil
}

// Instance is h as the suite sees it: reached by its socket if it has one, else by TCP if it listens
// there, else only by Launch, which is the caller's to set.
func Instance(h *proxycore.Handle) *conformance.Instance {
	i := &conformance.Instance{
		SocketPath: h.SocketPath(),
		CABundle:   h.CABundle(),
		Stop:       func(context.Context) error { return h.Close() },
		Done:       h.Done(),
	}
	switch {
	case h.SocketPath() != "":
		i.Addr = &net.UnixAddr{Net: "unix", Name: h.SocketPath()}
	case h.Port() > 0:
		i.Addr = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(h.Addr()))
	}
	return i
}

// Baseline reads a baseline that was embedded in the test.
func Baseline(text string) *conformance.Baseline {
	if os.Getenv(noBaselineVariable) != "" {
		return nil
	}
	b, err := conformance.ParseBaseline(strings.NewReader(onThisKernel(text)))
	if err != nil {
		panic(err) // the file is part of this repository
	}
	return b
}

// onThisKernel leaves out the lines about doors that this kernel does not have, so that nothing can leave them open.
func onThisKernel(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 0 || probe.Shows(f[0]) {
			out.WriteString(line)
		}
	}
	return out.String()
}
