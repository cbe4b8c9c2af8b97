// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"path"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
)

// Option adjusts a run.
type Option func(*options)

type options struct {
	patterns []string
	times    check.Times
	scale    float64
	reports  string
}

func newOptions(opts []Option) options {
	o := options{scale: 1}
	for _, f := range opts {
		f(&o)
	}
	o.times = check.Times{
		Bound: time.Duration(float64(3*time.Second) * o.scale),
		Head:  time.Duration(float64(2*time.Second) * o.scale),
	}
	return o
}

// Select runs only the checks whose id matches one of the patterns, in the syntax of path.Match
// ("DENY-*", "HOST-003.*"). A run that leaves checks out is partial at best; a pattern that matches no
// check is an error.
func Select(patterns ...string) Option {
	return func(o *options) { o.patterns = append(o.patterns, patterns...) }
}

// TimeoutScale multiplies every time the suite waits for something that ought to happen; 1 by default.
// Slow machines want more. Values that are not positive are ignored.
func TimeoutScale(f float64) Option {
	return func(o *options) {
		if f > 0 {
			o.scale = f
		}
	}
}

// ReportDir writes report.json, junit.xml and report.md into dir, which is made if need be.
func ReportDir(dir string) Option { return func(o *options) { o.reports = dir } }

// selects reports whether a check is to run.
func (o options) selects(id string) bool {
	if len(o.patterns) == 0 {
		return true
	}
	for _, p := range o.patterns {
		if ok, _ := path.Match(p, id); ok {
			return true
		}
	}
	return false
}

// check returns an error for a pattern that is none or matches nothing.
func (o options) check(all []check.Check) error {
	for _, p := range o.patterns {
		found := false
		for _, c := range all {
			ok, err := path.Match(p, c.ID)
			if err != nil {
				return fmt.Errorf("conformance: pattern %q: %w", p, err)
			}
			found = found || ok
		}
		if !found {
			return fmt.Errorf("conformance: pattern %q matches no check", p)
		}
	}
	return nil
}
