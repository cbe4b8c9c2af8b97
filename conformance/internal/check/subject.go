// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"io"
	"net"
	"os/exec"
	"time"
)

// Subject is a backend as the checks see it; package conformance makes one from its Backend. The types
// are kept apart so that the public ones can be documented where people look for them.
type Subject struct {
	Name, Version string
	Features      map[string]bool
	Start         func(ctx context.Context, c Config) (*Instance, error)

	// Declines, if not nil, says why the backend cannot be asked for c, or "": a check that needs c then does
	// not apply. own is true when the check would start an instance of its own rather than share one.
	Declines func(c Config, own bool) string
	// FixedHeadTimeout, if not "", says why Config.HeadTimeout has no effect: the checks that wait for it do
	// not apply.
	FixedHeadTimeout string
}

// Config mirrors conformance.Config, field by field.
type Config struct {
	Allow, Deny []string
	Port        int
	SocketPath  string
	HeadTimeout time.Duration
	Upstream    *Upstream
	Child       *Child
	Transparent bool
	Dir         string
	Log         io.Writer
}

// Upstream mirrors conformance.Upstream.
type Upstream struct {
	URL, User, Password, CAFile string
}

// LaunchConfig mirrors conformance.LaunchConfig.
type LaunchConfig struct {
	Path string
	Args []string
	Env  []string
}

// Instance mirrors conformance.Instance.
type Instance struct {
	Addr       net.Addr
	SocketPath string
	CABundle   string
	Stop       func(ctx context.Context) error
	Kill       func(ctx context.Context) error
	Done       <-chan struct{}
	Launch     func(ctx context.Context, c LaunchConfig) (*exec.Cmd, error)
}
