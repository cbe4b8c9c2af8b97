// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

const (
	// maxAttempts bounds the addresses tried for one request, however many the
	// name server gave.
	maxAttempts = 6
	// attemptDelay is the head start each attempt has before the next begins
	// (RFC 8305 section 8).
	attemptDelay = 250 * time.Millisecond
)

// errDialPolicy is the last line of defence: a connection attempt was about to
// go somewhere else than to the address that was checked.
var errDialPolicy = errors.New("proxycore: connection attempt to an address that was not checked")

// dialed is the outcome of one attempt.
type dialed struct {
	conn net.Conn
	addr netip.AddrPort
	err  error
}

// dial connects to the first of the checked addresses that takes the connection,
// within DialTimeout in all. It waits for the attempts it has started.
func (s *Server) dial(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, netip.AddrPort, error) {
	if len(addrs) == 1 && s.cfg.Dial == nil {
		d := plainAttempt(ctx, netip.AddrPortFrom(addrs[0], port), s.cfg.DialTimeout)
		return d.conn, d.addr, d.err
	}
	ctx, cancel := withTimeout(ctx, s.cfg.DialTimeout)
	defer cancel()
	return race(ctx, dialOrder(addrs), port, s.attempt)
}

// race makes the attempts, each with a head start before the next, and waits for
// all it has started.
func race(ctx context.Context, addrs []netip.Addr, port uint16, attempt func(context.Context, netip.AddrPort) dialed) (net.Conn, netip.AddrPort, error) {
	if len(addrs) == 1 {
		d := attempt(ctx, netip.AddrPortFrom(addrs[0], port))
		return d.conn, d.addr, d.err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	results := make(chan dialed, len(addrs))
	next := time.NewTimer(0)
	defer next.Stop()
	var errs []error
	running := 0
	for len(addrs) > 0 || running > 0 {
		select {
		case <-next.C:
			if len(addrs) == 0 {
				continue
			}
			ap := netip.AddrPortFrom(addrs[0], port)
			addrs = addrs[1:]
			running++
			go func() { results <- attempt(ctx, ap) }()
			next.Reset(attemptDelay)
		case d := <-results:
			running--
			if d.err == nil {
				cancel()
				discard(results, running)
				return d.conn, d.addr, nil
			}
			errs = append(errs, d.err)
			if ctx.Err() != nil {
				addrs = nil
			}
			next.Reset(0)
		}
	}
	// The deadline first: it is why the others count as too slow and not as refused.
	return nil, netip.AddrPort{}, errors.Join(append([]error{ctx.Err()}, errs...)...)
}

// discard waits for the attempts that lost, which have been cancelled.
func discard(results <-chan dialed, running int) {
	for range running {
		if d := <-results; d.conn != nil {
			d.conn.Close()
		}
	}
}

// attempt makes one connection. A panic of a Dial hook would end the process if
// it left this goroutine, so it becomes the attempt's error.
func (s *Server) attempt(ctx context.Context, ap netip.AddrPort) (d dialed) {
	d.addr = ap
	defer func() {
		if p := recover(); p != nil {
			d.err = fmt.Errorf("proxycore: Config.Dial panicked: %v", p)
		}
	}()
	if s.cfg.Dial != nil {
		d.conn, d.err = s.cfg.Dial(ctx, "tcp", ap.String())
		if d.err == nil && d.conn == nil {
			d.err = errors.New("proxycore: Config.Dial gave neither a connection nor an error")
		}
		return d
	}
	return plainAttempt(ctx, ap, 0)
}

// plainAttempt is an attempt without the hook. limit is as in relay.Dial.
func plainAttempt(ctx context.Context, ap netip.AddrPort, limit time.Duration) dialed {
	if !isChecked(ap) {
		return dialed{addr: ap, err: errDialPolicy}
	}
	// No dialer that parses, resolves or races anything: what is connected to is this
	// address and no other.
	conn, err := relay.Dial(ctx, ap, limit)
	return dialed{conn, ap, err}
}

// isChecked reports whether ap may be one that was checked: only those are unmapped.
func isChecked(ap netip.AddrPort) bool { return ap.Addr() == ap.Addr().Unmap() }

// dialOrder takes the first maxAttempts addresses, alternating between the two
// families and beginning with that of the first (RFC 8305 section 4).
func dialOrder(addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 1 {
		return addrs
	}
	var first, second []netip.Addr
	for _, a := range addrs {
		if a.Is4() == addrs[0].Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	out := make([]netip.Addr, 0, 2*maxAttempts)
	for i := range maxAttempts {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out[:min(len(out), maxAttempts)]
}
