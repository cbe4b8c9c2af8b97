// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import "time"

const (
	defaultBackoff    = 100 * time.Millisecond
	defaultMaxBackoff = 10 * time.Second
	defaultRestarts   = 5

	// settled is how long a proxy runs before its next death is a new matter.
	settled = time.Minute
)

// series counts restarts that follow one another.
type series struct{ n int }

// ran notes for how long the proxy was up before it ended.
func (s *series) ran(r Restart, up time.Duration) {
	if _, most := r.bounds(); up >= max(settled, most) {
		s.n = 0
	}
}

// next counts one more restart and returns the pause before it; false means that
// there were enough.
func (s *series) next(r Restart) (pause time.Duration, ok bool) {
	limit := r.Max
	if limit == 0 {
		limit = defaultRestarts
	}
	if limit > 0 && s.n >= limit {
		return 0, false
	}
	pause, most := r.bounds()
	for range s.n {
		if pause > most/2 {
			pause = most
			break
		}
		pause *= 2
	}
	s.n++
	return min(pause, most), true
}

// bounds returns the first pause and the longest.
func (r Restart) bounds() (first, most time.Duration) {
	first = max(orDefault(r.Backoff, defaultBackoff), 0)
	most = r.MaxBackoff
	if most <= 0 {
		most = max(defaultMaxBackoff, first)
	}
	return first, most
}
