// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package proxycore

import (
	"errors"
	"fmt"
)

// Pinned returns a copy that connects to its Unix socket in the directory that holds it
// now. That takes Linux: here it is [errors.ErrUnsupported]. With the other schemes there
// is no path, and it changes nothing.
func (u *Upstream) Pinned() (*Upstream, error) {
	if u.scheme == "unix" {
		return nil, fmt.Errorf("proxycore: keep to the directory of the upstream %v: %w", u, errors.ErrUnsupported)
	}
	v := *u
	return &v, nil
}

// socketPath is where to connect to.
func (u *Upstream) socketPath() string { return u.path }
