// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"net"
	"os/exec"
)

// Backend is one egress proxy, one way into it, or one sandbox around it, as the suite sees it.
// A struct of functions rather than an interface: a field added later does not break old backends.
type Backend struct {
	// Name and Version appear in reports. Name must not be empty.
	Name, Version string

	// Features lists the optional behaviour and the entry points that the backend claims. Core
	// behaviour is never listed. A claimed feature's checks must all pass; for a policy feature that
	// is not claimed the suite checks instead that the backend refuses it cleanly.
	Features FeatureSet

	// Start starts one instance that enforces c. It returns when the instance accepts connections, or
	// with an error when it cannot do all that c asks; an instance that enforces only a part of c is
	// a hole, not a convenience. ctx bounds the start, not the life of the instance.
	Start func(ctx context.Context, c Config) (*Instance, error)

	// Known lists the checks this backend is known to fail; nil means none. It is strict: a listed
	// check that passes is a failure of the run.
	Known *Baseline
}

// Instance is one running proxy. The suite always calls Stop once it is done with it.
type Instance struct {
	// Addr is where clients reach the proxy: a *net.TCPAddr or a *net.UnixAddr. Nil means that it can
	// only be reached from inside the sandbox; the suite then sends every request from there, through
	// Launch.
	Addr net.Addr

	// SocketPath is the path of the unix socket that leads to the proxy, or "" when there is none.
	SocketPath string

	// CABundle is the path of the PEM file clients have to trust because the proxy intercepts TLS, or
	// "" when it does not.
	CABundle string

	// Stop ends the instance. When it returns no connection is accepted any more, every live tunnel
	// has seen its end and sockets are unlinked. It must be idempotent. The error is nil after a clean
	// stop.
	Stop func(ctx context.Context) error

	// Kill ends the proxy as its sudden death would, without a word to anybody, and returns when it is
	// dead. Nil when the backend cannot do it; needed for the feature DeathReport.
	Kill func(ctx context.Context) error

	// Done is closed when the proxy has died without being asked. Needed for the feature DeathReport.
	Done <-chan struct{}

	// Launch prepares a command that runs inside the backend's sandbox, needed for the feature
	// Sandbox. It neither starts the command nor sets its Stdin, Stdout and Stderr: the suite does.
	// An instance may be asked for several sandboxes, one after another and at the same time.
	Launch func(ctx context.Context, c LaunchConfig) (*exec.Cmd, error)
}

// LaunchConfig is one command to run inside a sandbox.
type LaunchConfig struct {
	// Path is the absolute path of the program. It exists on the host; the sandbox must let it be
	// executed.
	Path string

	// Args are the arguments behind the program's name.
	Args []string

	// Env is added to the environment the sandbox gives its commands, as "NAME=value".
	Env []string
}
