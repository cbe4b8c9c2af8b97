// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import "net/netip"

// Policy is what a user writes: patterns of what may be reached and patterns
// of what may not. The zero value denies everything.
type Policy struct {
	// Allow lists what may be reached. nil or empty: nothing.
	Allow []string
	// Deny lists what may not, whatever Allow says. nil or empty: no exception.
	Deny []string
}

// PatternError is one pattern that cannot be used.
type PatternError struct {
	Pattern, Problem, Suggestion string
}

// Error implements error.
func (e *PatternError) Error() string { return "proxycore: pattern " + e.Problem }

// Filter decides which targets may be reached. It is immutable and safe for
// concurrent use. A nil *Filter denies everything.
type Filter struct{}

// NewFilter compiles p.
func NewFilter(p Policy) (*Filter, error) { return &Filter{}, nil }

// Decide judges a target.
func (f *Filter) Decide(t Target) Decision { return Decision{} }

// DecideAddrs judges the addresses that t resolved to.
func (f *Filter) DecideAddrs(t Target, addrs []netip.Addr) Decision { return Decision{} }

// Warnings lists what is valid but wider than it looks.
func (f *Filter) Warnings() []string { return nil }

// Len is the number of allow patterns.
func (f *Filter) Len() int { return 0 }

// AdmitsLoopback reports whether some allow pattern names localhost or a
// loopback address.
func (f *Filter) AdmitsLoopback() bool { return false }
