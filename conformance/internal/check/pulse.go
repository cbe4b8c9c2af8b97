// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"sync"
	"time"
)

const (
	// beat is how often the pulse is felt.
	beat = 100 * time.Millisecond
	// standstill is how late a beat must be to count. It is far below every bound of a session, and far above
	// what a busy machine does to a goroutine.
	standstill = 500 * time.Millisecond
)

// pulse notices that this process did not run for a while: a virtual machine that was paused, a laptop that slept,
// a machine that swaps. Whatever ran out of time meanwhile proves nothing about the subject, so that such a check
// ends with an error instead of a failure. It never turns a failure into a pass.
type pulse struct {
	mu   sync.Mutex
	last time.Time     // of the last beat; guarded by mu
	sum  time.Duration // guarded by mu

	stop chan struct{}
	over chan struct{}
}

// newPulse begins to feel; the caller calls close.
func newPulse() *pulse {
	p := &pulse{last: time.Now(), stop: make(chan struct{}), over: make(chan struct{})}
	go p.run()
	return p
}

func (p *pulse) run() {
	defer close(p.over)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.lost(time.Now())
		case <-p.stop:
			return
		}
	}
}

// lost returns for how long, in all, nothing ran. It counts as a beat itself: whoever wakes up first after a
// standstill sees it.
func (p *pulse) lost(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := now.Sub(p.last) - beat; late >= standstill {
		p.sum += late
	}
	p.last = now
	return p.sum
}

func (p *pulse) close() {
	close(p.stop)
	<-p.over
}
