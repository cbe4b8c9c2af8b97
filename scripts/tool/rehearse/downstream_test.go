// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestStrangers(t *testing.T) {
	t.Parallel()
	known := []string{prefix + "/bridge", prefix + "/proxycore", "example.test/downstream", "golang.org/x/net"}
	if err := strangers("compiles", known, compiledIn); err != nil {
		t.Errorf("got %v, want no stranger", err)
	}
	for _, m := range []string{"github.com/stretchr/testify", "golang.org/x/network", prefix + "/conformance", "golang.org/x"} {
		if err := strangers("compiles", append(known, m, m), compiledIn); err == nil || strings.Count(err.Error(), m+",") != 1 {
			t.Errorf("got %v, want an error that names %s once", err, m)
		}
	}
}
