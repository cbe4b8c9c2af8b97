// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package relay

import "time"

// takeAwaiting gives what Await was given, once. c.mu is held.
func (c *sock) takeAwaiting() func() {
	f := c.awaiting
	c.awaiting = nil
	return f
}

// Await implements [Prompt].
func (c *sock) Await(arrived func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard || c.closed {
		return false
	}
	c.awaiting = arrived
	if !c.readBy.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.readBy), c.late)
	}
	return true
}

// TryRead implements [Prompt].
func (c *sock) TryRead(b []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0
	}
	n, err := read(c.fd, b)
	if err != nil || n == 0 {
		return 0 // Read will see it, too
	}
	c.readable = n == len(b) || c.ending
	return n
}

// TryWrite implements [Prompt].
func (c *sock) TryWrite(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	n, err := write(c.fd, b)
	return err == nil && n == len(b)
}

// Drop implements [Prompt].
func (c *sock) Drop() {
	if c.close() == nil {
		letLoopsGo(1)
	}
}
