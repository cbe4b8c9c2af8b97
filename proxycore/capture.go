// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// Capture is everything by which one sandbox reaches the proxy: its sockets, made
// in its own network namespace and handed over. They are one: [Listening].MaxConns
// bounds the connections of all of them together, the names that Queries are told
// addresses for are what Connections to those addresses mean, and detaching closes
// all. The zero value is nothing, which no proxy serves.
//
// Whoever made the sockets may have kept copies of them. That does not hold up
// their end here: they are shut down before they are closed, for all who have them.
type Capture struct {
	// Proxy takes requests (CONNECT), as a listener that is attached does. A target
	// that is an address which the sandbox was told for a name means that name.
	// Nil: none.
	Proxy net.Listener
	// Connections take connections that were on their way elsewhere. One to an
	// address that the sandbox was told for a name is a request for that name, any
	// other a request for the address; from there on it is treated as a CONNECT.
	// There is no reply: a connection that is refused or fails is reset. Its
	// [Record] has the method TCP.
	Connections []net.Listener
	// Original, if non-nil, says where an accepted one of Connections was going,
	// for a redirect that hides it. Nil: its local address says so. An error
	// refuses the connection. It is called by many goroutines at once.
	Original func(net.Conn) (netip.AddrPort, error)
	// Queries take DNS queries over UDP (RFC 1035) and answer each from the
	// address that it was sent to. Linux only: elsewhere an error that wraps
	// [errors.ErrUnsupported].
	Queries []*net.UDPConn
	// QueryStreams take DNS queries over TCP (RFC 7766).
	QueryStreams []net.Listener
}

// ErrNoCapture is returned by a [Handle.Capture] to a backend that can serve
// nothing but requests: connections that do not know of the proxy, and queries,
// would go nowhere. It wraps [errors.ErrUnsupported].
var ErrNoCapture = fmt.Errorf("proxycore: this backend takes requests only; use the built-in proxy, with this one as its upstream, or leave connections uncaptured: %w", errors.ErrUnsupported)

// Close closes every socket of c. It is for those who do not get to hand c over,
// and returns the errors joined.
func (c Capture) Close() error {
	var errs []error
	for _, s := range c.sockets() {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// sockets lists everything in c but what is nil.
func (c Capture) sockets() []io.Closer {
	var out []io.Closer
	if c.Proxy != nil {
		out = append(out, c.Proxy)
	}
	for _, list := range [][]net.Listener{c.Connections, c.QueryStreams} {
		for _, l := range list {
			if l != nil {
				out = append(out, l)
			}
		}
	}
	for _, u := range c.Queries {
		if u != nil {
			out = append(out, u)
		}
	}
	return out
}

// check refuses a capture that is not complete.
func (c Capture) check() error {
	named := len(c.Connections) + len(c.QueryStreams) + len(c.Queries)
	if c.Proxy != nil {
		named++
	}
	switch got := len(c.sockets()); {
	case named == 0:
		return errors.New("proxycore: capture: no socket to serve; set at least one field of Capture")
	case got != named:
		return fmt.Errorf("proxycore: capture: %d of %d sockets are nil; leave them out", named-got, named)
	}
	return nil
}

// onlyRequests reports whether c is no more than what Attach serves.
func (c Capture) onlyRequests() bool {
	return c.Proxy != nil && len(c.Connections) == 0 && len(c.Queries) == 0 && len(c.QueryStreams) == 0
}

// Capture serves everything in c through the proxy and returns at once. It takes
// ownership of every socket in c, also when it returns an error. detach closes
// them, cuts the tunnels, and waits until they are gone, their records included;
// Close does the same for all. detach is idempotent. It must not be called by
// [Config].Record.
//
// A backend that cannot do it returns [ErrNoCapture], unless c has nothing but
// Proxy, for which Capture is Attach. What [Handle.Attach] says of a filter and a
// limit of its own holds here, too.
func (h *Handle) Capture(c Capture, o Listening) (detach func(), err error) {
	err = c.check()
	switch {
	case err != nil:
	case h.isOver():
		err = ErrClosed
	case h.c.Capture != nil:
		return h.keep(h.c.Capture(c, o))
	case c.onlyRequests():
		return h.Attach(sharedListener{relay.Listener(c.Proxy)}, o)
	default:
		err = ErrNoCapture
	}
	c.Close()
	return nil, err
}

// Filter is the filter in force for listeners that have none of their own. Nil
// when the policy is the backend's own, and when there is none, which denies
// everything.
func (h *Handle) Filter() *Filter {
	if h.c.Filter == nil {
		return nil
	}
	return h.c.Filter()
}
