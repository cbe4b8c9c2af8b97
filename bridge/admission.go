// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"log/slog"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Admission is a control socket: a Unix socket by which sandboxes of another make, such as
// containers without a network, hand their listening sockets to a proxy, as [Attach]
// does. Each connection is one sandbox, until it ends. A peer can only have its own
// network namespace served, and under this policy: listening TCP sockets and, if
// Transparent, UDP sockets of a namespace that is not this process's are taken, and nothing else.
type Admission struct {
	// Path is where the socket is made; "" makes a fresh directory for it. What [Socket] says
	// of both holds here, too.
	Path string
	// Name attributes connections in the decision log: the sandboxes are NAME-1, NAME-2 and so
	// on, in the order in which they come. "" is the base name of the socket, without ".sock".
	Name string
	// Filter is the sandboxes' policy; nil is the proxy's own. See [Admitting.SetFilter].
	Filter *proxycore.Filter
	// MaxConns bounds the connections of each sandbox, as in [Sandbox].
	MaxConns int
	// MaxSandboxes bounds how many there are at once, those that are not served yet
	// included. Zero means DefaultMaxSandboxes; negative is an error.
	MaxSandboxes int
	// AllowUIDs are the user ids, besides this process's own, that may connect, as this
	// process sees them. If there are any, the socket has mode 0666 instead of 0600, so
	// that they can; all others are turned away by what the kernel says of them. It says the
	// overflow id (65534) of whoever has no id in this user namespace, which is refused.
	AllowUIDs []uint32
	// Transparent lets the sandboxes ask for what [Sandbox].Transparent gives. The
	// policy must be known then: Filter, or that of a proxy that is built in.
	Transparent bool
	// Logger, if non-nil, is told of sandboxes that come, go or are refused.
	Logger *slog.Logger
}

// DefaultMaxSandboxes is what Admission.MaxSandboxes means when it is zero.
const DefaultMaxSandboxes = 64

// Start makes the socket and admits sandboxes to h, until Close of what it returns or the
// end of h, whichever is first. It returns when the socket accepts connections; ctx limits only
// the start. On an error h is as it was.
func (a Admission) Start(ctx context.Context, h *proxycore.Handle) (*Admitting, error) {
	in, err := a.start(ctx, h)
	if err != nil {
		return nil, err
	}
	return &Admitting{in}, nil
}

// Admitting is an Admission that has been started. Its methods may be called from any
// goroutine. Closing the handle closes it, too; draining the handle ([proxycore.Handle.Shutdown])
// removes the socket first and admits nobody any more, while the sandboxes that are there finish.
type Admitting struct{ in *admitting }

// Path is the absolute path of the socket.
func (a *Admitting) Path() string { return a.in.path() }

// Sandboxes is how many there are now, those that are not served yet included.
func (a *Admitting) Sandboxes() int { return a.in.sandboxes() }

// SetFilter replaces the policy of the sandboxes, also of those that are there, whose tunnels are
// cut where f would refuse them; nil is the proxy's own. A sandbox that came under the proxy's own
// policy keeps that ([proxycore.Handle.SetFilter]). An error means that the proxy cannot do
// this; then f is for those who come.
func (a *Admitting) SetFilter(f *proxycore.Filter) error { return a.in.setFilter(f) }

// Close removes the socket and takes the network from every sandbox that came by it. When it
// returns, no goroutine and no descriptor of it is left. It is idempotent. Like the handle's Close, it
// must not be called by a [proxycore.Config].Record.
func (a *Admitting) Close() error { return a.in.close() }
