// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/bridge/internal/quit"
)

// signals decides what a signal means to run. Until the command starts, one
// that asks to end cancels ctx, so that the start is abandoned and cleaned up;
// from then on all of them are the command's.
type signals struct {
	// ctx ends when a signal asked to end before the command started.
	ctx context.Context

	cancel  context.CancelFunc
	in      chan os.Signal
	out     chan os.Signal
	caught  chan struct{} // closed when they are caught
	release chan struct{}
	done    chan struct{}
	once    sync.Once // stops

	mu        sync.Mutex
	forwarded bool
	ended     os.Signal // the signal that ended the start, or nil
}

// catchSignals starts to catch list. The caller calls stop. It takes the runtime some time, signal for
// signal, in which there is other work: who makes something that has to be cleaned up calls ready
// before.
func catchSignals(parent context.Context, list []os.Signal) *signals {
	s := &signals{
		// Signals that arrive while nobody reads are kept up to this number; the
		// kernel itself keeps only one of each.
		in:      make(chan os.Signal, 64),
		out:     make(chan os.Signal, 64),
		caught:  make(chan struct{}),
		release: make(chan struct{}),
		done:    make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(parent)
	go func() {
		defer close(s.caught)
		if len(list) > 0 {
			signal.Notify(s.in, list...)
		}
		quit.Release()
		ignoreBrokenPipes()
	}()
	go s.route()
	return s
}

// ready returns when the signals are caught.
func (s *signals) ready() { <-s.caught }

// route moves signals from in to where they belong until stop.
func (s *signals) route() {
	defer close(s.done)
	for {
		select {
		case sig := <-s.in:
			s.take(sig)
		case <-s.release:
			return
		}
	}
}

func (s *signals) take(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.forwarded && asksToEnd(sig) {
		if s.ended == nil {
			s.ended = sig
		}
		s.cancel()
		return
	}
	select {
	case s.out <- sig:
	default: // 64 are waiting already: the command does not read its signals
	}
}

// forward hands all signals from here on to the command. ok is false when one
// has already asked to end: then the command must not be started.
func (s *signals) forward() (out <-chan os.Signal, ok bool) {
	s.ready()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return nil, false
	}
	s.forwarded = true
	return s.out, true
}

// failure reports why the start failed and returns the exit status for it:
// that of the signal when a signal was the reason.
func (s *signals) failure(streams Streams, err error) int {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if sig, ok := ended.(syscall.Signal); ok {
		return 128 + int(sig)
	}
	complain(streams.Stderr, err)
	return bridge.ExitFailed
}

// stop ends the catching: in a moment a signal ends this process again. The
// context is cancelled. It is idempotent.
func (s *signals) stop() {
	s.once.Do(func() {
		s.ready()
		quit.Arm()
		go signal.Stop(s.in) // which takes as long as the start, and nothing that follows has to wait for it
		close(s.release)
		<-s.done
		s.cancel()
	})
}

// asksToEnd reports whether the default action of sig ends a process and a
// user sends it for that.
func asksToEnd(sig os.Signal) bool {
	switch sig {
	case os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
		return true
	}
	return false
}
