// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Existing describes a proxy that runs already. Exactly one of Addr and Socket is
// set; the zero value is not usable.
type Existing struct {
	// Addr is the host:port the proxy listens on. A name is looked up once, and of
	// its addresses the first one that accepts a connection is used from then on.
	Addr string
	// Socket is the path of the Unix socket it listens on. The handle has no
	// address then but that path.
	Socket string
	// CABundle is the PEM file clients must trust because the proxy intercepts
	// TLS; "" when it does not.
	CABundle string
	// Unfiltered and Probe are as in [Spec]. An Unfiltered proxy is asked nothing:
	// it has to accept a connection, and that is all.
	Unfiltered bool
	Probe      string
}

// Attach returns a handle of a proxy that runs already, once it has refused the
// probe as [Spec.Start] says. ctx limits that, and 5 s do. The proxy is somebody
// else's: Close and Shutdown cut what is attached to the handle and leave it running.
//
// Where the process behind the address can be seen (on Linux, when it is on this
// host, in this network namespace, and this process may look into it: the same user
// or root), its end closes the handle's Done, and Err wraps [ErrGone]. Elsewhere an
// end goes unnoticed: new connections fail, and the network is closed all the same.
func Attach(ctx context.Context, e Existing) (*proxycore.Handle, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, defaultStartTimeout, ErrStartTimeout)
	defer cancel()
	at, err := e.find(ctx)
	if err != nil {
		return nil, err
	}
	f := follow(at) // before the probe, so that it is the proxy that answers it
	if !e.Unfiltered {
		err = (&probe{target: e.Probe}).ask(ctx, "the proxy", at)
	}
	if err == nil && !bundleExists(e.CABundle) {
		err = fmt.Errorf("external: %w: the CA bundle %s of the proxy at %s does not exist or is empty; correct its path (CABundle)", ErrInvalidSpec, e.CABundle, at)
	}
	if err != nil {
		f.stop()
		return nil, err
	}
	watched := make(chan struct{})
	h, fail := proxycore.NewHandle(proxycore.HandleConfig{
		Addr:     at.addr,
		Socket:   at.socket,
		CABundle: e.CABundle,
		Close: func() error {
			f.stop()
			<-watched
			return nil
		},
	})
	go func() {
		defer close(watched)
		if who := f.wait(); who != "" {
			fail(fmt.Errorf("external: %w: %s, which listened on %s, ended; the network is closed until somebody starts it again and attaches to it", ErrGone, who, at))
		}
	}()
	return h, nil
}

func (e Existing) validate() error {
	if (e.Addr == "") == (e.Socket == "") {
		return fmt.Errorf("external: %w: an existing proxy has either Addr or Socket; set one of them", ErrInvalidSpec)
	}
	return checkProbe(e.Probe)
}

// find looks the address up and connects to it, to see that somebody listens.
func (e Existing) find(ctx context.Context) (endpoint, error) {
	var candidates []endpoint
	if e.Socket != "" {
		path, err := filepath.Abs(e.Socket) // whatever becomes of the working directory
		if err != nil {
			return endpoint{}, fmt.Errorf("external: socket %s: %w", e.Socket, err)
		}
		candidates = []endpoint{{socket: path}}
	} else {
		addrs, err := lookup(ctx, e.Addr)
		if err != nil {
			return endpoint{}, err
		}
		for _, a := range addrs {
			candidates = append(candidates, endpoint{addr: a})
		}
	}
	var errs []error
	for _, at := range candidates {
		c, err := at.dial(ctx)
		if err == nil {
			c.Close()
			return at, nil
		}
		errs = append(errs, err)
	}
	if ctx.Err() != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return endpoint{}, fmt.Errorf("external: no proxy at %s: %w; start it, or correct the address", e.Addr+e.Socket, errors.Join(errs...))
}

// lookup turns host:port into addresses.
func lookup(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	host, digits, err := net.SplitHostPort(hostport)
	port, portErr := strconv.ParseUint(digits, 10, 16)
	if err != nil || portErr != nil || port == 0 || host == "" {
		return nil, fmt.Errorf("external: %w: Addr %q is not of the form host:port; write for example 127.0.0.1:3128", ErrInvalidSpec, hostport)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("external: looking up the proxy %s: %w; write its address", hostport, err)
	}
	var addrs []netip.AddrPort
	for _, a := range found {
		switch a = a.Unmap(); a {
		case netip.IPv4Unspecified():
			a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case netip.IPv6Unspecified():
			a = netip.IPv6Loopback()
		}
		addrs = append(addrs, netip.AddrPortFrom(a, uint16(port)))
	}
	return addrs, nil
}
