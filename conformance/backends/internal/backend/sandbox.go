// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// Sandboxed starts the built-in proxy without any listener on the host; the only way to it is from
// inside a sandbox of the given mode.
func Sandboxed(ctx context.Context, c conformance.Config, mode bridge.Mode) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: the sandbox is entered by listener handoff, there is no unix socket")
	}
	transparent := c.Transparent
	c.Port, c.Transparent = -1, false
	b, err := Chaining(c)
	if err != nil {
		return nil, err
	}
	h, err := b.Start(ctx)
	if err != nil {
		return nil, err
	}
	i := Instance(h)
	i.Launch = func(ctx context.Context, l conformance.LaunchConfig) (*exec.Cmd, error) {
		return launch(ctx, h, bridge.Sandbox{Mode: mode, Name: "suite", Transparent: transparent}, l)
	}
	return i, nil
}

func launch(ctx context.Context, h *proxycore.Handle, s bridge.Sandbox, l conformance.LaunchConfig) (*exec.Cmd, error) {
	cmd, err := s.Command(ctx, h, l.Path, l.Args...)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), l.Env...)
	return cmd, nil
}
