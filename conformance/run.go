// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import "testing"

// Run runs the whole suite against b and fails t when b does not conform.
func Run(t *testing.T, b Backend, opts ...Option) {
	t.Helper()
	t.Fatalf("conformance: the checks are being written")
}

// Option adjusts a run.
type Option func()
