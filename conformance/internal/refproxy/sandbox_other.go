// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package refproxy

import (
	"context"
	"errors"
	"net"
	"os/exec"
)

// Command needs Linux.
func (p *Proxy) Command(context.Context, string, Launch) (*exec.Cmd, error) {
	return nil, errors.ErrUnsupported
}

// serveNames is a fault of sandboxes, of which there are none here.
func (p *Proxy) serveNames(string) (net.Listener, error) { return nil, errors.ErrUnsupported }

// capture is part of sandboxes too.
type capture struct{}
