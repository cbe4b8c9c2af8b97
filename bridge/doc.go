// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package bridge carries a proxy into a place that has no network.
//
// [Sandbox] runs a command in a network namespace of its own, in which
// 127.0.0.1 leads to a [proxycore.Handle] and nothing leads anywhere else.
// The process that sets the sandbox up listens there and passes the listening
// socket itself out to this process; a socket keeps the
// network namespace it was made in, so the proxy accepts the sandbox's
// connections directly and nothing of Sallyport runs between the command and the proxy.
//
// With [Sandbox.Transparent] programs that know of no proxy get there, too: every address
// is one of the sandbox's own, and connections and name queries arrive at sockets
// that are passed out in the same way.
//
// [Socket] makes a Unix socket that leads to a proxy, for sandboxes of another
// make, such as containers and virtual machines, that can mount a file.
//
// Everything here fails closed: what cannot be set up as described is an error,
// and a proxy that dies leaves the sandbox without a network.
//
// The package is not a file-system sandbox: the command sees the files that the
// caller sees, unless [Sandbox.BwrapArgs] says otherwise, and whoever can write the
// caller's files can have something run outside later. Ways out other than
// the network and the file system are doors, which are shut: see [Doors]. It needs Linux;
// elsewhere its functions return errors that wrap [errors.ErrUnsupported].
package bridge
