// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package outside

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/sallyport-dev/sallyport/conformance"
)

type start = func(context.Context, conformance.Config) (*conformance.Instance, error)

func unsupported(context.Context, conformance.Config) (*conformance.Instance, error) {
	return nil, fmt.Errorf("outside: the suite runs on Linux only: %w", errors.ErrUnsupported)
}

// Exec needs Linux.
func (o Options) Exec(*Template, bool) start { return unsupported }

// Running needs Linux.
func (o Options) Running(net.Addr, *Template) start { return unsupported }

// Launch needs Linux.
func (o Options) Launch(*Template, bool) start { return unsupported }
