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
// [Admission] is a control socket by which sandboxes of another make, such as containers
// without a network, hand over theirs; [Attach] does that from inside. [Socket]
// makes a Unix socket that leads to a proxy, for virtual machines and whatever else can
// only mount a file.
//
// Everything here fails closed: what cannot be set up as described is an error,
// and a proxy that dies leaves the sandbox without a network.
//
// The package is not a file-system sandbox: the command sees the files that the
// caller sees, unless [Sandbox.BwrapArgs] says otherwise, and whoever can write the
// caller's files can have something run outside later. Other ways out than the
// network are doors, which a system call filter (seccomp), mounts and a clean
// environment shut: see [Doors]. It needs Linux;
// elsewhere its functions return errors that wrap [errors.ErrUnsupported].
package bridge
