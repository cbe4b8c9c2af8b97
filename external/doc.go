// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package external starts a proxy the user already has (Squid, tinyproxy,
// mitmdump, a corporate agent), watches it, and puts the same
// [proxycore.Handle] in front of it as the built-in proxy has:
//
//	spec := external.Spec{Argv: []string{"mitmdump", "--listen-host", "127.0.0.1", "--listen-port", "{port}"}}
//	h, err := spec.Start(ctx)
//	if err != nil {
//		return err // no proxy means no network: never go on without one
//	}
//	defer h.Close()
//	cmd.Env = h.Environ(os.Environ())
//
// [Spec.Start] returns when the child process itself is listening on a loopback
// address, not when something answers on the port. When the child dies later the
// handle's Done channel is closed and everything attached to it is cut: it fails
// closed.
//
// The package cannot know what the proxy admits. The policy is the proxy's own,
// and the handle's SetFilter reports errors.ErrUnsupported.
//
// # Platforms
//
// On Linux the listening socket is attributed to a process through /proc, the
// child dies with this process, and processes that left the child's process group
// are found and ended too. On other systems readiness is weaker: the child is
// alive and a TCP connection to the port succeeds, so a stranger on the port goes
// unnoticed. On Windows only the child itself is ended, and at once.
package external
