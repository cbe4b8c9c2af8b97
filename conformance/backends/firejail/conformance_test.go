// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package firejail puts firejail through the suite. Its sandbox has no network (--net=none); the way out is a relay
// of socat inside, from the loopback interface to the unix socket of the built-in proxy, which is what firejail's users
// are told to do, as firejail brings no proxy. The command starts when the relay accepts. No profile, since profiles
// are made for single programs; in its place the options that hold for any command: no capability, no new
// privileges, the default filter of system calls, for one ABI, four families of sockets (the relay takes unix), no
// supplementary group, and an end of everything with the command (--deterministic-shutdown), since the relay would
// keep the sandbox alive. ./scripts/test runs the checks of the sandbox only, scripts/peers all. What it does not do is
// written in baseline.txt, with the reason.
package firejail

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/proxycore"
)

//go:embed baseline.txt
var baseline string

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	program := backend.Program(t, "firejail")
	backend.Program(t, "socat")
	conformance.Run(t, conformance.Backend{
		Name:     "firejail",
		Version:  backend.Version(t, program, "--version"),
		Features: backend.PolicyFeatures(conformance.Sandbox),
		Known:    backend.Baseline(baseline),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(ctx, program, c)
		},
	}, backend.Reports("SANDBOX-*")...)
}

// script starts the relay, waits for it and becomes the command. $1 is the proxy's socket.
const script = `socket=$1; shift
socat TCP4-LISTEN:3128,bind=127.0.0.1,fork,reuseaddr,backlog=128 UNIX-CONNECT:"$socket" </dev/null >/dev/null 2>&1 &
until socat -u OPEN:/dev/null TCP4:127.0.0.1:3128 2>/dev/null; do :; done
exec "$@"`

func start(ctx context.Context, program string, c conformance.Config) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: the socket is the sandbox's own")
	}
	h, err := backend.OnSocket(ctx, c)
	if err != nil {
		return nil, err
	}
	i := backend.Instance(h)
	socket := h.SocketPath()
	i.Addr, i.SocketPath = nil, ""
	i.Launch = func(ctx context.Context, l conformance.LaunchConfig) (*exec.Cmd, error) {
		args := append([]string{"--quiet", "--noprofile", "--net=none", "--caps.drop=all", "--nonewprivs",
			"--seccomp", "--seccomp.block-secondary", "--protocol=unix,inet,inet6,netlink",
			"--nogroups", "--deterministic-shutdown", "--deterministic-exit-code", "--",
			"/bin/sh", "-c", script, "sh", socket, l.Path}, l.Args...)
		cmd := exec.CommandContext(ctx, program, args...)
		env := proxycore.Environ(backend.WithoutProxies(os.Environ()), proxycore.Bouquet{ProxyURL: "http://127.0.0.1:3128"})
		cmd.Env = append(env, l.Env...)
		return cmd, nil
	}
	return i, nil
}
