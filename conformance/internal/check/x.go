// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/onsi/gomega"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

// X is one execution of one check: its subject, its world and its record. It belongs to the goroutine
// of the check body; only Note and Line may be called from others.
type X struct {
	// Ctx ends when the check has used up its time.
	Ctx context.Context
	// World is the Internet around the subject.
	World *world.World

	s       *Session
	cleanup []func()
	lost    time.Duration // for which nothing ran while a table was observed that an earlier check of the session ran

	mu     sync.Mutex
	result Result // guarded by mu
}

// Bound is how long anything may take that ought to happen at once.
func (x *X) Bound() time.Duration { return x.s.bound }

// Patience is how long the check waits for what takes the proxy a time-out of its own.
func (x *X) Patience() time.Duration { return 2*x.s.bound + x.s.head }

// HeadTimeout is the time the shared instances give a client for its head.
func (x *X) HeadTimeout() time.Duration { return x.s.head }

// Within returns a context that ends after Bound.
func (x *X) Within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(x.Ctx, x.s.bound)
}

// Claims reports whether the subject claims a feature.
func (x *X) Claims(feature string) bool { return x.s.subject.Features[feature] }

// Defer runs f when the check is over, in reverse order.
func (x *X) Defer(f func()) { x.cleanup = append(x.cleanup, f) }

// Line adds a labelled line to the record: Sent, Got, Origin, DNS, Control.
func (x *X) Line(label, format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Lines = append(x.result.Lines, Line{label, fmt.Sprintf(format, args...)})
}

// Note records a finding; the check goes on and will have failed.
func (x *X) Note(kind oracle.Kind, format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Findings = append(x.result.Findings, oracle.Finding{Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// Fail records a finding and ends the check.
func (x *X) Fail(kind oracle.Kind, format string, args ...any) {
	x.Note(kind, format, args...)
	runtime.Goexit()
}

// Abort ends the check with the outcome error: it could not be carried out.
func (x *X) Abort(format string, args ...any) {
	x.mu.Lock()
	x.result.Outcome = Error
	x.result.Reason = fmt.Sprintf(format, args...)
	x.mu.Unlock()
	runtime.Goexit()
}

// Saw returns expectations whose failure is a finding of the given kind and ends the check. It uses no
// global of gomega, so that a suite that embeds this one keeps its own fail handler.
func (x *X) Saw(kind oracle.Kind) gomega.Gomega {
	return gomega.NewGomega(func(message string, _ ...int) { x.Fail(kind, "%s", message) })
}

// Mark returns the present point of the witness's record.
func (x *X) Mark() world.Mark {
	m, err := x.World.Mark()
	if err != nil {
		x.Abort("%v", err)
	}
	return m
}

// Since returns what the second witness saw since m, apart from the connections to p itself.
func (x *X) Since(m world.Mark, p *Proxy) world.Seen {
	seen, _, err := x.World.Since(m, p.door()...)
	if err != nil {
		x.Abort("%v", err)
	}
	return seen
}
