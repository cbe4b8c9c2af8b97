// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"
)

const (
	firstPoll = 2 * time.Millisecond
	lastPoll  = 40 * time.Millisecond

	// strangerPolls is how many polls in a row must find a foreign listener: one
	// alone may have met the child while it handed its socket to a worker.
	strangerPolls = 3
)

// listening is what one poll found on the child's port.
type listening struct {
	addr     netip.AddrPort // where the child's own tree listens; invalid when nowhere
	stranger string         // who else listens there, in words; "" for nobody
	exposed  netip.AddrPort // an address of the tree's that other machines reach; else invalid
	unseen   bool           // some process of the tree could not be inspected
}

// awaitReady polls until the child listens and returns the address, or says why it
// does not. The caller kills the child on error.
func (p *process) awaitReady(ctx context.Context, port int, limit time.Duration, bundle string) (netip.AddrPort, error) {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	poll := time.NewTimer(firstPoll)
	defer poll.Stop()
	strangers, over := 0, false
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		select {
		case <-p.done:
			return netip.AddrPort{}, p.exitError(false)
		case <-ctx.Done():
			return netip.AddrPort{}, fmt.Errorf("external: start of %s was given up: %w", p.name, context.Cause(ctx))
		case <-late:
			over = true // and one last look: this process may not have run meanwhile
		case <-poll.C:
		}
		found, err := p.tree.listening(port)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("external: cannot tell whether %s listens: %w", p.name, err)
		}
		if strangers++; found.stranger == "" {
			strangers = 0
		}
		switch {
		case found.exposed.IsValid():
			return netip.AddrPort{}, fmt.Errorf("external: %w: %s listens on %s; configure it to listen on 127.0.0.1 only", ErrExposed, p.name, found.exposed)
		case strangers >= strangerPolls:
			return netip.AddrPort{}, fmt.Errorf("external: %w: %s listens on port %d, not %s; end it or choose another port%s",
				ErrStranger, found.stranger, port, p.name, quoteOutput(p.out.lastLines()))
		case found.stranger == "" && found.addr.IsValid() && bundleExists(bundle):
			return found.addr, nil
		case over:
			return netip.AddrPort{}, p.lateError(port, limit, bundle, found)
		}
		poll.Reset(wait)
	}
}

// lateError says what was missing when the time was over.
func (p *process) lateError(port int, limit time.Duration, bundle string, last listening) error {
	var missing string
	switch {
	case last.addr.IsValid():
		missing = fmt.Sprintf("listens, but the CA bundle %s does not exist; correct CABundle", bundle)
	case last.unseen:
		missing = fmt.Sprintf("has processes that may not be inspected, so that nobody can tell whether they listen on port %d; run it as this user", port)
	default:
		missing = fmt.Sprintf("does not listen on port %d; tell it the port with %s or %s, or raise StartTimeout", port, portPlaceholder, portVariable)
	}
	return fmt.Errorf("external: %w: after %v %s %s%s", ErrStartTimeout, limit, p.name, missing, quoteOutput(p.out.lastLines()))
}

// bundleExists reports whether path, if any, names a file with something in it: a
// proxy that makes its certificate at its first start may still be writing.
func bundleExists(path string) bool {
	if path == "" {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}
