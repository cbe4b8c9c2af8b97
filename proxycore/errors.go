// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned when a server or handle is used after Close or
	// Shutdown: Serve and Attach close the listener they were given and return it.
	ErrClosed = errors.New("proxycore: closed")

	// ErrNoFilter is returned by an Attach with a filter of its own to a backend
	// that cannot apply one. Serving the listener unfiltered instead would open
	// the sandbox, so it is refused. It wraps [errors.ErrUnsupported].
	ErrNoFilter = fmt.Errorf("proxycore: this backend applies its own policy and cannot take a filter for one listener; leave Listening.Filter nil: %w", errors.ErrUnsupported)
)
