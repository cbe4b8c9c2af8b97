// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Baseline names the checks a backend is known to fail, each with the reason. It is strict: a listed
// check that fails is "known", a listed check that passes is "stale" and fails the run, so that a
// baseline never outlives the fault it describes. The nil *Baseline lists nothing.
type Baseline struct{ reasons map[string]string }

// ParseBaseline reads a baseline: one check id a line, then white space and the reason, which must not
// be missing. Empty lines and lines that begin with # are ignored. A duplicate id is an error; an id
// that does not exist is one when the run begins.
func ParseBaseline(r io.Reader) (*Baseline, error) {
	b := &Baseline{reasons: map[string]string{}}
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, reason := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			id, reason = line[:i], strings.TrimSpace(line[i:])
		}
		if reason == "" {
			return nil, fmt.Errorf("conformance: baseline line %d: %s has no reason; write it behind the id", n, id)
		}
		if _, dup := b.reasons[id]; dup {
			return nil, fmt.Errorf("conformance: baseline line %d: %s is listed twice", n, id)
		}
		b.reasons[id] = reason
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("conformance: reading the baseline: %w", err)
	}
	return b, nil
}

// Reason returns why the check id is known to fail, and whether it is listed.
func (b *Baseline) Reason(id string) (string, bool) {
	if b == nil {
		return "", false
	}
	r, ok := b.reasons[id]
	return r, ok
}

// IDs returns the listed check ids in alphabetical order.
func (b *Baseline) IDs() []string {
	if b == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(b.reasons))
}
