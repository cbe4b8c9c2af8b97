// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// ChainOptions says how the built-in proxy speaks to the external one. The zero
// value is without credentials and leaves names to the external proxy.
type ChainOptions struct {
	// User and Password are sent to the external proxy; see [Spec.Credentials].
	User, Password string
	// Lookup says which of the two resolves names. With the zero value,
	// [proxycore.LookupUpstream], it is the external one, and nobody but it judges
	// the addresses behind a name. With [proxycore.LookupHere] the filter does.
	Lookup proxycore.Lookup
}

// Chain starts an external proxy by start, which is [Spec.Start] or calls [Attach],
// and in front of it the built-in one, whose filter decides: what it refuses the
// external proxy never hears of. The external one may therefore be Unfiltered. b must
// have neither Upstream nor Route; where it has no CABundle or JavaTrustStore, the
// external proxy's is used. ctx limits the starts.
//
// The handle is that of the built-in proxy, and its policy can be replaced. The end
// of the external proxy is the end of the chain: all tunnels are cut, Done is
// closed, and Err wraps the error of the external proxy's handle. With
// [Spec.Restart] the chain stays, and answers 502 while the external proxy is down.
// Close ends the built-in proxy first, Shutdown drains it first.
//
// Chain owns the handle that start returns: it is closed with the chain, and when
// Chain returns an error.
func Chain(ctx context.Context, b proxycore.BuiltIn, start func(context.Context) (*proxycore.Handle, error), o ChainOptions) (*proxycore.Handle, error) {
	if b.Upstream != nil || b.Route != nil {
		return nil, fmt.Errorf("external: %w: the built-in proxy of a chain has an upstream already; leave Upstream and Route empty, or start it without Chain", ErrInvalidSpec)
	}
	behind, err := start(ctx)
	if err != nil {
		return nil, err
	}
	c := &chain{behind: behind, stopping: make(chan struct{}), watched: make(chan struct{})}
	if err := c.startFront(ctx, b, o); err != nil {
		return nil, errors.Join(err, behind.Close())
	}
	h, fail := proxycore.NewHandle(c.config())
	go c.watch(fail)
	return h, nil
}

// chain is a built-in proxy with an external one behind it.
type chain struct {
	front, behind *proxycore.Handle

	once     sync.Once
	stopping chan struct{} // closed when somebody ends the chain
	watched  chan struct{} // closed when watch has ended
}

// startFront starts the built-in proxy.
func (c *chain) startFront(ctx context.Context, b proxycore.BuiltIn, o ChainOptions) error {
	upstream, err := upstreamOf(c.behind, o)
	if err != nil {
		return err
	}
	b.Route = func(proxycore.Target) (*proxycore.Upstream, error) {
		// A proxy that is being restarted may listen before it can be trusted.
		if err := c.behind.Ready(); err != nil {
			return nil, err
		}
		return upstream, nil
	}
	if b.CABundle == "" {
		b.CABundle = c.behind.CABundle()
	}
	if b.JavaTrustStore == "" {
		b.JavaTrustStore = c.behind.JavaTrustStore()
	}
	c.front, err = b.Start(ctx)
	return err
}

// upstreamOf describes the external proxy to the built-in one.
func upstreamOf(behind *proxycore.Handle, o ChainOptions) (*proxycore.Upstream, error) {
	way := url.URL{Scheme: "http", Host: behind.Addr()}
	if way.Host == "" {
		way = url.URL{Scheme: "unix", Path: behind.SocketPath()}
	}
	u, err := proxycore.ParseUpstream(way.String())
	if err == nil && (o.User != "" || o.Password != "") {
		u, err = u.WithCredentials(o.User, o.Password)
	}
	if err != nil {
		return nil, fmt.Errorf("external: chain: %w", err)
	}
	return u.WithLookup(o.Lookup), nil
}

// config is the chain's handle.
func (c *chain) config() proxycore.HandleConfig {
	addr, _ := netip.ParseAddrPort(c.front.Addr()) // invalid when there is none
	return proxycore.HandleConfig{
		Addr:           addr,
		CABundle:       c.front.CABundle(),
		JavaTrustStore: c.front.JavaTrustStore(),
		Attach:         c.front.Attach,
		Capture:        c.front.Capture,
		Filter:         c.front.Filter,
		SetFilter:      c.front.SetFilter,
		ReplaceFilter:  c.front.ReplaceFilter,
		Ready:          c.behind.Ready,
		Shutdown:       c.shutdown,
		Close:          c.close,
		NoProxy:        c.noProxy,
	}
}

// noProxy reads the built-in proxy's list from where children find it.
func (c *chain) noProxy() string {
	for _, entry := range c.front.Environ(nil) {
		if list, ok := strings.CutPrefix(entry, "NO_PROXY="); ok && list != "" {
			return list
		}
	}
	return "-"
}

// watch ends the chain when one of the two ends by itself. The built-in proxy is
// closed before that is told, so that no tunnel outlives Done.
func (c *chain) watch(fail func(error)) {
	defer close(c.watched)
	select {
	case <-c.stopping:
	case <-c.behind.Done():
		err := c.behind.Err()
		if err == nil {
			err = errors.New("external: the proxy behind the built-in one was closed by somebody else; close the chain instead")
		}
		err = errors.Join(err, c.front.Close())
		if !isClosed(c.stopping) {
			fail(err)
		}
	case <-c.front.Done():
		if err := c.front.Err(); err != nil && !isClosed(c.stopping) {
			fail(err)
		}
	}
}

func (c *chain) stop() { c.once.Do(func() { close(c.stopping) }) }

func (c *chain) shutdown(ctx context.Context) error {
	c.stop()
	return errors.Join(c.front.Shutdown(ctx), c.behind.Shutdown(ctx))
}

func (c *chain) close() error {
	c.stop()
	err := errors.Join(c.front.Close(), c.behind.Close())
	<-c.watched
	return err
}
