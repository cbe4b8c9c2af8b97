// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// ChainFeatures are the policy features of proxycore and all kinds of upstreams, for backends made by Chaining.
func ChainFeatures(more ...conformance.Feature) conformance.FeatureSet {
	return PolicyFeatures(append(more,
		conformance.UpstreamHTTP, conformance.UpstreamTLS, conformance.UpstreamSOCKS, conformance.UpstreamUnix,
		conformance.UpstreamAuth)...)
}

// upstreamPatience is how long an upstream may take to open a tunnel: long enough for a busy machine, and shorter than
// the default of 10 s, for which two checks of silent upstreams would wait.
const upstreamPatience = 3 * time.Second

// Chaining is BuiltIn for backends that go through an upstream where c has one.
func Chaining(c conformance.Config) (proxycore.BuiltIn, error) {
	up := c.Upstream
	c.Upstream = nil
	b, err := BuiltIn(c)
	if err != nil || up == nil {
		return b, err
	}
	b.Upstream, err = upstream(up)
	b.DialTimeout = upstreamPatience
	return b, err
}

func upstream(c *conformance.Upstream) (*proxycore.Upstream, error) {
	u, err := proxycore.ParseUpstream(c.URL)
	if err == nil && c.User+c.Password != "" {
		u, err = u.WithCredentials(c.User, c.Password)
	}
	if err != nil || c.CAFile == "" {
		return u, err
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("backends: the upstream's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("backends: no certificate in %s", c.CAFile)
	}
	return u.WithRoots(pool), nil
}
