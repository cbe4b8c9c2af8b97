// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package external puts a proxy the user already has (Squid, tinyproxy, mitmdump, a
// corporate agent) behind the same [proxycore.Handle] as the built-in one:
//
//	spec := external.Spec{Argv: []string{"mitmdump", "--listen-host", "127.0.0.1", "--listen-port", "{port}", "-s", "policy.py"}}
//	h, err := spec.Start(ctx)
//	if err != nil {
//		return err // no proxy means no network: never go on without one
//	}
//	defer h.Close()
//	cmd.Env = h.Environ(os.Environ())
//
// There are three ways:
//   - [Spec.Start] starts a program, watches it and ends it. A [Preset] writes the
//     Spec, with a policy in the program's own words, for programs it knows.
//   - [Attach] takes a proxy that runs already and leaves it running.
//   - [Chain] puts the built-in filter in front of either, so that the external proxy
//     only ever hears of what the filter admits.
//
// A proxy is trusted when it has shown two things, not when something answers on its
// port: that a process of its own listens there, and that it refuses a target which
// no policy admits. When it dies later the handle's Done channel is closed and
// everything attached to it is cut; with [Spec].Restart it may come back, and until
// it has shown the same again nothing gets through. It fails closed.
//
// The one refusal says that there is a policy, and nothing of what it is. The policy
// is the proxy's own, and the handle's SetFilter reports errors.ErrUnsupported, but for
// a chain's, whose policy is the built-in filter's.
//
// # Platforms
//
// On Linux the listening socket is attributed to a process through /proc, the port is
// held until the child has it, the child dies with this process, and processes that
// left the child's process group are found and ended too. On other systems readiness
// is weaker: the child is alive and a connection to its place succeeds, so a
// stranger there goes unnoticed unless it fails the probe, and so does the end of an
// attached proxy. On Windows only the child itself is ended, and at once.
package external
