// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package run puts a proxy through the conformance suite in a test of its own: the first of three ways in.
package run

import (
	"context"
	"log"
	"os"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/examples/run/myproxy"
	"github.com/sallyport-dev/sallyport/fixtures"
)

func TestMain(m *testing.M) {
	if err := fixtures.Enter(); err != nil { // a network of our own, in which github.com can be anything
		log.Fatal(err)
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Backend{
		Name: "myproxy", Version: myproxy.Version,
		Features: conformance.Features(conformance.TCP, conformance.Wildcards, conformance.DeepWildcards,
			conformance.AnyName, conformance.PortRules, conformance.AddressRules, conformance.DenyRules),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			p, err := myproxy.Start(ctx, myproxy.Options{Allow: c.Allow, Deny: c.Deny,
				Port: c.Port, Socket: c.SocketPath, HeadTimeout: c.HeadTimeout, Log: c.Log,
				Others: c.Upstream != nil || c.Child != nil || c.Transparent})
			if err != nil {
				return nil, err
			}
			return &conformance.Instance{Addr: p.Addr(), Stop: p.Stop}, nil
		},
	})
}
