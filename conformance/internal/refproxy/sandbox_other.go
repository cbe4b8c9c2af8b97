// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package refproxy

import (
	"context"
	"errors"
	"os/exec"
)

// Command needs Linux.
func (p *Proxy) Command(context.Context, string, Launch) (*exec.Cmd, error) {
	return nil, errors.ErrUnsupported
}
