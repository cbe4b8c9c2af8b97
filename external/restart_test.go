// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestSeries(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, tc := range map[string]struct {
		restart Restart
		want    []time.Duration // to the end, or the first of them
		endless bool
	}{
		"zero":         {Restart{}, []time.Duration{s / 10, s / 5, 2 * s / 5, 4 * s / 5, 8 * s / 5}, false},
		"bounded":      {Restart{Backoff: s, MaxBackoff: 3 * s, Max: 4}, []time.Duration{s, 2 * s, 3 * s, 3 * s}, false},
		"none":         {Restart{Backoff: -1, Max: 2}, []time.Duration{0, 0}, false},
		"first longer": {Restart{Backoff: time.Minute, Max: 2}, []time.Duration{time.Minute, time.Minute}, false},
		"max below":    {Restart{Backoff: time.Minute, MaxBackoff: s, Max: 1}, []time.Duration{s}, false},
		"no limit":     {Restart{Backoff: s, Max: -1}, []time.Duration{s, 2 * s, 4 * s, 8 * s, 10 * s, 10 * s, 10 * s}, true},
		"huge":         {Restart{Backoff: math.MaxInt64 / 2, MaxBackoff: math.MaxInt64, Max: 3}, []time.Duration{math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []time.Duration
			var series series
			for range 7 {
				pause, ok := series.next(tc.restart)
				if !ok {
					break
				}
				got = append(got, pause)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("pauses %v; want %v", got, tc.want)
			}
			series.ran(tc.restart, time.Second)
			if _, ok := series.next(tc.restart); ok != tc.endless {
				t.Errorf("one more after a second: %v", ok)
			}
			series.ran(tc.restart, math.MaxInt64)
			if pause, ok := series.next(tc.restart); !ok || pause != tc.want[0] {
				t.Errorf("after a long life: %v, %v; want %v", pause, ok, tc.want[0])
			}
		})
	}
}
