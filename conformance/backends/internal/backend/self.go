// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/external"
)

// selfArgument makes a test binary the proxy of its package when it is its first argument.
const selfArgument = "backend-proxy"

// ServeSelf is called first in TestMain: in a process that [Self] has started it runs serve and exits, anywhere
// else it does nothing. serve gets a listener on the loopback interface and the path of the configuration.
func ServeSelf(serve func(l net.Listener, config string) error) {
	if len(os.Args) != 4 || os.Args[1] != selfArgument {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[2])
	if err == nil {
		err = serve(l, os.Args[3])
	}
	fmt.Fprintln(os.Stderr, "backends:", err)
	os.Exit(1)
}

// Self starts this test binary as the proxy of its package, in a process of its own, so that it can be stopped and
// killed like any other program. config is the content of its configuration.
func Self(ctx context.Context, c conformance.Config, config string) (*conformance.Instance, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("backends: finding the test binary: %w", err)
	}
	path, err := WriteFile(c.Dir, "policy", config)
	if err != nil {
		return nil, err
	}
	return External(ctx, c, external.Spec{Argv: []string{self, selfArgument, "{port}", path}})
}

// ModuleVersion returns the version of a module that go.mod requires; a test binary does not know it by itself.
func ModuleVersion(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(path) + ` (v\S+)`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("go.mod does not require %s", path)
	}
	return found[1]
}
