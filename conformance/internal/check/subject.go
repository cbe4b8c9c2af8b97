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
}

// Config mirrors conformance.Config, field by field.
type Config struct {
	Allow, Deny []string
	Port        int
	SocketPath  string
	HeadTimeout time.Duration
	Dir         string
	Log         io.Writer
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
