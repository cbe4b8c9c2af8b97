// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"sync"
	"time"
)

const (
	// refusalPace is how far apart the refused queries of a sandbox are in the
	// long run. Each makes a record, and a datagram is cheaper than the connection
	// that it takes to have a record made otherwise.
	refusalPace = time.Millisecond
	// refusalBurst is how many may come at once after a pause.
	refusalBurst = 1000
)

// pacer slows down whoever is refused too often. The zero value is ready.
type pacer struct {
	mu   sync.Mutex // guards next
	next time.Time  // when the next refusal would be due without a burst
}

// wait returns when one more refusal may be given, or stop is closed.
func (p *pacer) wait(stop <-chan struct{}) {
	now := time.Now()
	p.mu.Lock()
	if earliest := now.Add(-refusalBurst * refusalPace); p.next.Before(earliest) {
		p.next = earliest
	}
	p.next = p.next.Add(refusalPace)
	pause := p.next.Sub(now)
	p.mu.Unlock()
	if pause > 0 {
		sleep(pause, stop)
	}
}
