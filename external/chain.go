// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// ChainOptions says how the built-in proxy speaks to the external one. The zero
// value is without credentials.
type ChainOptions struct {
	// User and Password are sent to the external proxy; see [Spec.Credentials].
	User, Password string
	// CABundle is the PEM file clients must trust because the external proxy
	// intercepts TLS; "" means the bundle of the external proxy's handle.
	CABundle string
	// Lookup says which of the two resolves names; the zero value is the external one.
	Lookup proxycore.Lookup
}

// Chain puts the built-in proxy in front of an external one.
func Chain(ctx context.Context, b proxycore.BuiltIn, start func(context.Context) (*proxycore.Handle, error), o ChainOptions) (*proxycore.Handle, error) {
	return nil, fmt.Errorf("external: chain: %w", errors.ErrUnsupported)
}
