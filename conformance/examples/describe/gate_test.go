// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance"
	gate "github.com/sallyport-dev/sallyport/conformance/examples/describe"
	"github.com/sallyport-dev/sallyport/fixtures"
)

//go:embed baseline.txt
var baseline string

func TestMain(m *testing.M) {
	if err := fixtures.Enter(); err != nil {
		log.Fatal(err)
	}
	os.Exit(m.Run())
}

// This suite is the proxy's own; it was there before.
func TestGate(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "gate")
}

var audit *os.File

var _ = BeforeSuite(func() {
	var err error
	audit, err = os.Create(filepath.Join(GinkgoT().TempDir(), "audit"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(audit.Close)
})

var _ = Describe("the gate", func() {
	It("wants host names", func(ctx SpecContext) {
		_, err := gate.Open(ctx, []string{"10.0.0.0/8"}, 0, audit)
		Expect(err).To(MatchError(ContainSubstring("no host name")))
	})
})

// And these lines add the conformance suite to it. The function runs after BeforeSuite: it may use what that made.
var _ = conformance.Describe(func() conformance.Backend {
	known, err := conformance.ParseBaseline(strings.NewReader(baseline))
	Expect(err).NotTo(HaveOccurred())
	return conformance.Backend{
		Name: "gate", Version: "1.0", Features: conformance.Features(conformance.TCP), Known: known, Start: start,
	}
}, conformance.Select("CONNECT-*", "DENY-*", "PORT-*"))

func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	if len(c.Deny) > 0 || c.SocketPath != "" {
		return nil, errors.New("gate: neither deny rules nor unix sockets")
	}
	if c.Upstream != nil || c.Child != nil || c.Transparent {
		return nil, errors.New("gate: it goes through no other proxy, starts none, and has no sandbox")
	}
	g, err := gate.Open(ctx, c.Allow, c.Port, io.MultiWriter(audit, c.Log))
	if err != nil {
		return nil, err
	}
	return &conformance.Instance{Addr: g.Addr(), Stop: func(context.Context) error { return g.Close() }}, nil
}
