// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package bwrapnet puts bubblewrap by itself through the suite: no proxy, and a sandbox without a network. There is
// no way out, so every check whose control is an allowed host fails, and says so; what is left are the checks of the
// sandbox as such. The options are those a careful user gives: every namespace of its own, the file system
// read-only, a new /dev and /proc, no capability, a session of its own, death with the parent. What it does not do is
// written in baseline.txt, with the reason.
package bwrapnet

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
)

//go:embed baseline.txt
var baseline string

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	program := backend.Program(t, "bwrap")
	conformance.Run(t, conformance.Backend{
		Name:     "bwrapnet",
		Version:  backend.Version(t, program, "--version"),
		Features: conformance.Features(conformance.Sandbox),
		Known:    backend.Baseline(baseline),
		Start: func(_ context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(program, c)
		},
	}, backend.Reports()...)
}

// start starts nothing: the policy "nothing" is a part of every policy, and there is no proxy that could end.
func start(program string, c conformance.Config) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: there is no proxy, and so no unix socket")
	}
	if err := backend.Plain(c); err != nil {
		return nil, err
	}
	return &conformance.Instance{
		Stop: func(context.Context) error { return nil },
		Launch: func(ctx context.Context, l conformance.LaunchConfig) (*exec.Cmd, error) {
			args := append([]string{"--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all",
				"--cap-drop", "ALL", "--new-session", "--die-with-parent", "--", l.Path}, l.Args...)
			cmd := exec.CommandContext(ctx, program, args...)
			cmd.Env = append(os.Environ(), l.Env...)
			return cmd, nil
		},
	}, nil
}
