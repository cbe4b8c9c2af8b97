// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package external

import "sync"

// follower waits for the end of a process that cannot be seen here.
type follower struct {
	once sync.Once
	over chan struct{}
}

func follow(endpoint) *follower { return &follower{over: make(chan struct{})} }

// wait returns when stop is called.
func (f *follower) wait() (who string) {
	<-f.over
	return ""
}

func (f *follower) stop() { f.once.Do(func() { close(f.over) }) }
