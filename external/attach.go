// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Existing describes a proxy that runs already. Exactly one of Addr and Socket is set.
type Existing struct {
	// Addr is the host:port the proxy listens on.
	Addr string
	// Socket is the path of the Unix socket it listens on.
	Socket string
	// CABundle is the PEM file clients must trust because the proxy intercepts
	// TLS; "" when it does not.
	CABundle string
	// Unfiltered and Probe are as in [Spec].
	Unfiltered bool
	Probe      string
}

// Attach returns the handle of a proxy that runs already.
func Attach(ctx context.Context, e Existing) (*proxycore.Handle, error) {
	return nil, fmt.Errorf("external: attach to %s: %w", e.Addr+e.Socket, errors.ErrUnsupported)
}
