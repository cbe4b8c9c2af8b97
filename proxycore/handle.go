// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// HandleConfig describes a running proxy to [NewHandle], for every backend that
// is not built in.
type HandleConfig struct {
	// Addr is where the proxy listens on TCP. The zero value means nowhere.
	Addr netip.AddrPort
	// Socket is the path of the Unix socket on which the proxy listens itself; ""
	// for none. [Handle.SocketPath] gives it.
	Socket string
	// CABundle is the path of the PEM bundle that clients must trust when the
	// proxy intercepts TLS; "" when it does not.
	CABundle string
	// JavaTrustStore is the path of the same for Java, as [Bouquet].JavaTrustStore
	// says; "" for none.
	JavaTrustStore string
	// Attach, if non-nil, serves l through the proxy as [Handle.Attach] says.
	// When nil, connections are relayed to the proxy, half-closes included.
	Attach func(l net.Listener, o Listening) (detach func(), err error)
	// Capture, if non-nil, serves c through the proxy as [Handle.Capture] says, and
	// owns its sockets also when it returns an error. When nil, that returns
	// [ErrNoCapture].
	Capture func(c Capture, o Listening) (detach func(), err error)
	// Filter, if non-nil, gives [Handle.Filter].
	Filter func() *Filter
	// Dial, if non-nil, connects to the proxy for everything attached, in place of
	// a connection to Addr or, without one, to Socket. ctx is done when it takes too long, and otherwise
	// when the connection is over, so that Dial can keep account of those that live
	// ([context.AfterFunc]). Whoever closes one cuts its tunnel.
	Dial func(ctx context.Context) (net.Conn, error)
	// Ready, if non-nil, gives [Handle.Ready] while the proxy is not over.
	Ready func() error
	// SetFilter, if non-nil, replaces the policy. When nil, [Handle.SetFilter]
	// returns an error that wraps [errors.ErrUnsupported].
	SetFilter func(*Filter) error
	// ReplaceFilter, if non-nil, is [Handle.ReplaceFilter]. When nil, that returns an
	// error that wraps [errors.ErrUnsupported].
	ReplaceFilter func(old, f *Filter) error
	// Shutdown, if non-nil, drains the proxy until ctx is done. Close follows.
	// When nil, [Handle.Shutdown] does not drain: it is Close.
	Shutdown func(context.Context) error
	// Close, if non-nil, ends the proxy and waits until it is gone. It is called
	// once, after everything attached has been detached.
	Close func() error
	// NoProxy, if non-nil, gives [Bouquet].NoProxy for [Handle.Environ].
	NoProxy func() string
}

// Handle is a running proxy, whatever started it. Its methods may be called from
// any goroutine, in any order. Whoever started the proxy closes the handle.
type Handle struct {
	*proxy
	socket string // HandleConfig.Socket unless decorated
}

// proxy is what a handle and its decorations share.
type proxy struct {
	c    HandleConfig
	done chan struct{}
	end  closer // the closing

	mu       sync.Mutex // guards the fields below; nothing blocks while it is held
	sockets  []*closer  // to be closed first, the last one first
	attached map[*closer]struct{}
	over     bool // closing or failed: nothing can be attached any more
	err      error
}

// closer closes something, once. Whoever comes later waits for the first.
type closer struct {
	once sync.Once
	f    func() error
	err  error // valid once run has returned
}

func (c *closer) run() error {
	c.once.Do(func() { c.err = c.f() })
	return c.err
}

// NewHandle makes the handle of a running proxy. fail reports that the proxy has
// died unexpectedly: everything attached and every socket is closed, Err gives
// the error and Done is closed. fail does not call c.Close, so that it may be
// called by what c.Close waits for; the user's Close does. After Close, and for
// the second time, fail does nothing.
func NewHandle(c HandleConfig) (h *Handle, fail func(error)) {
	p := &proxy{c: c, done: make(chan struct{}), attached: make(map[*closer]struct{})}
	p.end.f = p.close
	return &Handle{proxy: p, socket: c.Socket}, p.fail
}

// Port is the port the proxy listens on; 0 only when it does not listen on TCP.
func (h *Handle) Port() int { return int(h.c.Addr.Port()) }

// Addr is the host:port the proxy listens on, "" when it does not listen on TCP.
func (h *Handle) Addr() string {
	if !h.c.Addr.IsValid() {
		return ""
	}
	return h.c.Addr.String()
}

// SocketPath is the path of the Unix socket that leads to the proxy, "" when
// there is none: that of [Handle.WithSocket], which exists until the handle is
// closed or shut down, or else the one on which the proxy listens itself.
func (h *Handle) SocketPath() string { return h.socket }

// CABundle is the path of the PEM bundle that clients must trust, "" when nobody
// intercepts TLS: the built-in proxy itself never does, but its upstream may.
func (h *Handle) CABundle() string { return h.c.CABundle }

// JavaTrustStore is the path of the trust store that Java programs must use, ""
// when there is none.
func (h *Handle) JavaTrustStore() string { return h.c.JavaTrustStore }

// Environ returns base, as os.Environ gives it, with the variables that lead a
// child process to Addr, at loopback if that is every address; see [Environ].
// Without a TCP listener the proxy variables are only removed.
func (h *Handle) Environ(base []string) []string {
	b := Bouquet{CABundle: h.c.CABundle, JavaTrustStore: h.c.JavaTrustStore}
	if ap := h.c.Addr; ap.IsValid() {
		switch ap.Addr() {
		case netip.IPv4Unspecified():
			ap = netip.AddrPortFrom(loopback[0], ap.Port())
		case netip.IPv6Unspecified():
			ap = netip.AddrPortFrom(loopback[1], ap.Port())
		}
		b.ProxyURL = "http://" + ap.String()
	}
	if h.c.NoProxy != nil {
		b.NoProxy = h.c.NoProxy()
	}
	return Environ(base, b)
}

// Attach serves l through the proxy and returns at once. It takes ownership of
// l, also when it returns an error. detach closes l, cuts its tunnels, and waits
// until they are gone, their records included; Close does the same for all.
// detach is idempotent. It must not be called by [Config].Record.
//
// A filter or a limit of its own (o.Filter, o.MaxConns) on a backend that cannot
// apply it is an error that wraps [errors.ErrUnsupported]; see [ErrNoFilter].
func (h *Handle) Attach(l net.Listener, o Listening) (detach func(), err error) {
	if h.isOver() {
		l.Close()
		return nil, ErrClosed
	}
	attach := h.c.Attach
	if attach == nil {
		attach = h.forward
	}
	return h.keep(attach(l, o))
}

// keep makes what cut ends a part of the handle, unless err says that there is
// nothing to end.
func (h *Handle) keep(cut func(), err error) (detach func(), _ error) {
	if err != nil {
		return nil, err
	}
	a := &closer{f: func() error { cut(); return nil }}
	h.mu.Lock()
	over := h.over
	if !over {
		h.attached[a] = struct{}{}
	}
	h.mu.Unlock()
	if over {
		a.run()
		return nil, ErrClosed
	}
	return func() {
		a.run()
		h.mu.Lock()
		delete(h.attached, a)
		h.mu.Unlock()
	}, nil
}

func (p *proxy) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// SetFilter replaces the policy and cuts the live tunnels that the new one would
// refuse. Listeners attached with a filter of their own keep it. A backend whose
// policy is not ours returns an error that wraps [errors.ErrUnsupported].
func (h *Handle) SetFilter(f *Filter) error {
	if h.c.SetFilter == nil {
		return fmt.Errorf("proxycore: this backend applies its own policy; change it there: %w", errors.ErrUnsupported)
	}
	return h.c.SetFilter(f)
}

// ReplaceFilter replaces the policy of everything that was attached with the filter
// old of its own, this very one, and cuts the live tunnels that f would refuse. From
// then on f is what a further ReplaceFilter calls old; nil means the proxy's own.
func (h *Handle) ReplaceFilter(old, f *Filter) error {
	if h.c.ReplaceFilter == nil {
		return fmt.Errorf("proxycore: this backend applies its own policy; change it there: %w", errors.ErrUnsupported)
	}
	return h.c.ReplaceFilter(old, f)
}

// WithSocket returns a handle of the same proxy that also has a Unix socket at
// path. Closing either handle, and the proxy's death, first call close, once,
// and then do what they did before. If h is over already, close is called now.
func (h *Handle) WithSocket(path string, close func() error) *Handle {
	o := &closer{f: close}
	h.mu.Lock()
	over := h.over
	if !over {
		h.sockets = append(h.sockets, o)
	}
	h.mu.Unlock()
	if over {
		o.run()
	}
	return &Handle{proxy: h.proxy, socket: path}
}

// Done is closed when the proxy is over: closed, or dead unexpectedly.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Err says why the proxy died unexpectedly. It is nil while it runs and after
// Close or Shutdown.
func (h *Handle) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Ready is nil while the proxy takes connections. Otherwise the error says why it
// does not: because it is being started again, or over, which is Err or [ErrClosed].
func (h *Handle) Ready() error {
	h.mu.Lock()
	over, err := h.over, h.err
	h.mu.Unlock()
	switch {
	case err != nil:
		return err
	case over:
		return ErrClosed
	case h.c.Ready != nil:
		return h.c.Ready()
	}
	return nil
}

// Shutdown drains the proxy: no new connection is accepted, tunnels run on until
// they end or ctx is done, then Close. It returns ctx's error if tunnels had to
// be cut, joined with Close's.
func (h *Handle) Shutdown(ctx context.Context) error {
	var err error
	if h.c.Shutdown != nil && !h.isOver() {
		err = h.c.Shutdown(ctx)
	}
	return errors.Join(err, h.Close())
}

// Close ends the proxy at once. When it returns, no new connection is accepted,
// every live tunnel has seen the end of its stream, sockets are unlinked, and no
// goroutine and no descriptor of the proxy is left. Its error says what went wrong
// in it, such as a last record that could not be kept. It is idempotent. It must not
// be called by [Config].Record, nor by the close function of a socket: it waits
// for them.
func (h *Handle) Close() error { return h.end.run() }

// close is what Close does, once.
func (p *proxy) close() error {
	p.mu.Lock()
	failed := p.over
	closers := p.takeClosers()
	p.mu.Unlock()
	err := runAll(closers)
	if p.c.Close != nil {
		err = errors.Join(err, p.c.Close())
	}
	if !failed {
		close(p.done)
	} else {
		<-p.done // what fail closes is gone too
	}
	return err
}

func (p *proxy) fail(err error) {
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return
	}
	if err == nil {
		err = errors.New("proxycore: the proxy ended unexpectedly")
	}
	p.err = err
	closers := p.takeClosers()
	p.mu.Unlock()
	runAll(closers)
	close(p.done)
}

// takeClosers ends attaching and gives what is to be closed, in order: sockets,
// the last one first, then the listeners attached directly. p.mu is held.
func (p *proxy) takeClosers() []*closer {
	p.over = true
	var out []*closer
	for i := len(p.sockets) - 1; i >= 0; i-- {
		out = append(out, p.sockets[i])
	}
	for a := range p.attached {
		out = append(out, a)
	}
	p.sockets, p.attached = nil, nil
	return out
}

func runAll(closers []*closer) error {
	var errs []error
	for _, c := range closers {
		errs = append(errs, c.run())
	}
	return errors.Join(errs...)
}
