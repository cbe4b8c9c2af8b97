// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"path"
	"slices"
	"strings"
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
	progress func(CheckReport)
	repeat   int
	seed     int64
}

func newOptions(opts []Option) options {
	o := options{scale: 1, repeat: 1}
	for _, f := range opts {
		f(&o)
	}
	o.times = check.Times{
		Bound: time.Duration(float64(3*time.Second) * o.scale),
		Head:  time.Duration(float64(2*time.Second) * o.scale),
	}
	return o
}

// Select runs only the checks that one of the patterns is for: the id of a check in the syntax of path.Match
// ("DENY-00*.status"), or the name of a requirement ("HOST-003") or an area ("DENY"). A run that leaves checks out is partial at best; a pattern that matches no
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

// ReportDir writes the report in all its forms into dir, as [Report.WriteDir] does.
func ReportDir(dir string) Option { return func(o *options) { o.reports = dir } }

// Progress calls f after every check with how it came out, also for those that do not apply, one call after another.
// The last option wins; nil is none. With Repeat it hears of every repetition.
func Progress(f func(CheckReport)) Option { return func(o *options) { o.progress = f } }

// Repeat makes Execute run everything n times, each time in a fresh world. The report has the worst outcome of
// every check, and in which repetitions it was so: a failure is never outweighed by passes. Values below 1 are
// ignored. Run and Describe leave repeating to ginkgo.
func Repeat(n int) Option {
	return func(o *options) {
		if n >= 1 {
			o.repeat = n
		}
	}
}

// Seed makes Execute run the checks in an order of chance, the same for the same seed; 0 is the order of the
// specification. The report lists them in that order in any case, and records the seed. Run and Describe leave
// the order to ginkgo.
func Seed(n int64) Option { return func(o *options) { o.seed = n } }

// write writes the report where it was asked for.
func (o options) write(r *Report) error {
	if o.reports == "" {
		return nil
	}
	return r.WriteDir(o.reports)
}

// selects reports whether a check is to run.
func (o options) selects(id string) bool {
	if len(o.patterns) == 0 {
		return true
	}
	return slices.ContainsFunc(o.patterns, func(p string) bool { return Matches(p, id) })
}

// Matches reports whether a pattern of [Select] is for the check with this id; false for one that is malformed.
func Matches(pattern, id string) bool {
	ok, _ := matches(pattern, id)
	return ok
}

func matches(pattern, id string) (bool, error) {
	ok, err := path.Match(pattern, id)
	rest, cut := strings.CutPrefix(id, pattern)
	return ok || cut && rest != "" && (rest[:1] == "." || rest[:1] == "-" && !strings.Contains(pattern, "-")), err
}

// check returns an error for a pattern that is none or matches nothing.
func (o options) check(all []check.Check) error {
	for _, p := range o.patterns {
		found := false
		for _, c := range all {
			ok, err := matches(p, c.ID)
			if err != nil {
				return fmt.Errorf("conformance: pattern %q: %w", p, err)
			}
			found = found || ok
		}
		if !found {
			return fmt.Errorf("conformance: pattern %q matches no check%s", p, nearest(p, all))
		}
	}
	return nil
}
