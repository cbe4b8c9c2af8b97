// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// OnSocket starts the built-in proxy with nothing but a unix socket, for sandboxes that have no network and bring a
// relay of their own. The socket is closed with the proxy.
func OnSocket(ctx context.Context, c conformance.Config) (*proxycore.Handle, error) {
	c.Port = -1
	b, err := BuiltIn(c)
	if err != nil {
		return nil, err
	}
	h, err := b.Start(ctx)
	if err != nil {
		return nil, err
	}
	return bridge.Socket{Path: filepath.Join(c.Dir, "proxy.sock")}.Start(ctx, h)
}

// WithoutProxies returns env without any proxy variable, as somebody has it who starts the first proxy.
func WithoutProxies(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return strings.HasSuffix(strings.ToUpper(name), "_PROXY")
	})
}
