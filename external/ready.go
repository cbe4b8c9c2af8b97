// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

const (
	firstPoll = 2 * time.Millisecond
	lastPoll  = 40 * time.Millisecond

	// strangerPolls is how many polls in a row must find a foreign listener: one
	// alone may have met the child while it handed its socket to a worker.
	strangerPolls = 3
)

// errHeld says that the child seems to have met our own hold on its port.
var errHeld = errors.New("the port is held for it")

// listening is what one poll found where the child is to listen.
type listening struct {
	at       endpoint       // where the child's own tree can be reached; invalid when nowhere
	stranger string         // who else listens there, in words; "" for nobody
	exposed  netip.AddrPort // an address of the tree's that other machines reach; else invalid
	unseen   bool           // some process of the tree could not be inspected
}

// readiness is what a child must fulfil before it is used.
type readiness struct {
	at     place
	limit  time.Duration // not above 0: none
	bundle string        // a file that has to exist; "" for none
	probe  *probe        // nil for none
	held   bool          // the port is held in a way that some programs cannot take it
}

// awaitReady polls until the child listens and has refused the probe, and returns
// where it can be reached, or says what is wrong. The caller kills the child on error.
func (p *process) awaitReady(ctx context.Context, r readiness) (endpoint, error) {
	began := time.Now()
	var late <-chan time.Time
	if r.limit > 0 {
		timer := time.NewTimer(r.limit)
		defer timer.Stop()
		late = timer.C
	}
	poll := time.NewTimer(firstPoll)
	defer poll.Stop()
	strangers := 0
	var over, final, asked bool // final: asked for the last time, whatever comes
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		select {
		case <-p.done:
			if r.held && p.out.saysInUse() {
				return endpoint{}, errHeld
			}
			return endpoint{}, p.exitError(false)
		case <-ctx.Done():
			return endpoint{}, fmt.Errorf("external: start of %s was given up: %w", p.name, context.Cause(ctx))
		case <-late:
			over = true // and one last look: this process may not have run meanwhile
		case <-poll.C:
		}
		found, err := p.tree.listening(r.at)
		if err != nil {
			return endpoint{}, fmt.Errorf("external: cannot tell whether %s listens: %w", p.name, err)
		}
		if strangers++; found.stranger == "" {
			strangers = 0
		}
		ready := found.stranger == "" && found.at.valid() && bundleExists(r.bundle)
		switch {
		case found.exposed.IsValid() && !r.at.exposed:
			return endpoint{}, fmt.Errorf("external: %w: %s listens on %s; configure it to listen on 127.0.0.1 only, or, in Go, set AllowExposed", ErrExposed, p.name, found.exposed)
		case strangers >= strangerPolls:
			return endpoint{}, fmt.Errorf("external: %w: %s listens on %s, not %s; end it or choose another port%s",
				ErrStranger, found.stranger, r.at, p.name, quoteOutput(p.out.lastLines()))
		case ready && (asked || r.probe == nil):
			return found.at, nil
		case ready && !final:
			final = over
			if asked, err = p.ask(ctx, r, found.at, began); err != nil {
				return endpoint{}, err
			}
			// A crash is no refusal: the child has to be listening still.
			wait = firstPoll
		case over:
			return endpoint{}, p.lateError(r, found)
		case r.held && !found.at.valid() && p.out.saysInUse():
			return endpoint{}, errHeld
		}
		poll.Reset(wait)
	}
}

// ask puts the probe to the child within what is left of its time. A child that
// ends meanwhile or takes no connection is left to the caller's next look.
func (p *process) ask(ctx context.Context, r readiness, at endpoint, began time.Time) (asked bool, err error) {
	limit := defaultStartTimeout
	if r.limit > 0 {
		limit = max(r.limit-time.Since(began), leastProbe)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, ErrStartTimeout)
	defer cancel()
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-p.done:
			gone(errChildEnded)
		case <-ctx.Done():
		}
	}()
	err = r.probe.ask(ctx, p.name, at)
	gone(nil)
	<-watched
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrOpen):
		return false, err
	case isClosed(p.done) || errors.Is(err, errUnreachable):
		return false, nil
	}
	return false, fmt.Errorf("%w%s", err, quoteOutput(p.out.lastLines()))
}

var errChildEnded = errors.New("the proxy ended")

// lateError says what was missing when the time was over.
func (p *process) lateError(r readiness, last listening) error {
	var missing string
	switch {
	case last.at.valid() && bundleExists(r.bundle):
		missing = fmt.Sprintf("listens on %s, too late to be asked or without taking connections; in Go, raise StartTimeout", r.at)
	case last.at.valid():
		missing = fmt.Sprintf("listens, but the CA bundle %s does not exist; correct its path (CABundle)", r.bundle)
	case last.unseen:
		missing = fmt.Sprintf("has processes that may not be inspected, so that nobody can tell whether they listen on %s; run it as this user", r.at)
	case r.at.socket != "":
		missing = fmt.Sprintf("does not listen on %s; tell it the path with %s or %s, or, in Go, raise StartTimeout", r.at, socketPlaceholder, socketVariable)
	default:
		missing = fmt.Sprintf("does not listen on %s; tell it the port with %s or %s, or, in Go, raise StartTimeout", r.at, portPlaceholder, portVariable)
	}
	return fmt.Errorf("external: %w: after %v %s %s%s", ErrStartTimeout, r.limit, p.name, missing, quoteOutput(p.out.lastLines()))
}
