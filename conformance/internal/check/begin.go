// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

// Starting is the start of an instance that is under way, for checks whose subject is the start itself. The context
// Start gets has no deadline but the one the check gives it.
type Starting struct {
	// Done is closed when Start has returned.
	Done <-chan struct{}

	x      *X
	cancel context.CancelFunc
	p      *Proxy // set before Done is closed
	err    error  // likewise
}

// Begin begins to start an instance of the check's own. A deadline of 0 is none: then it is for Cancel to end a start
// that does not come to anything. When the check is over the start is cancelled and the instance, if there is one, is
// stopped. Directory and log are filled in.
func (x *X) Begin(c Config, deadline time.Duration) *Starting {
	x.needs(c, true)
	if err := x.s.lost(); err != nil {
		x.Abort("%v", err)
	}
	dir, err := os.MkdirTemp("", "egress-")
	if err != nil {
		x.Abort("a directory for the backend: %v", err)
	}
	log := &tail{}
	c.Dir, c.Log = dir, log
	ctx, cancel := bounded(context.WithoutCancel(x.Ctx), deadline)
	done := make(chan struct{})
	s := &Starting{Done: done, x: x, cancel: cancel, p: &Proxy{Config: c, x: x, log: log}}
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				s.err = fmt.Errorf("start panicked: %v", v)
			}
		}()
		r := startResult{}
		r.inst, r.err = x.s.subject.Start(ctx, c)
		s.p.Instance, s.err = r.inst, errors.Join(r.err, x.s.sound(r))
	}()
	s.p.stop = s.stopper(dir)
	x.Defer(s.close)
	return s
}

func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// stopper stops the instance once and removes its directory.
func (s *Starting) stopper(dir string) func(context.Context) error {
	var once sync.Once
	var err error
	return func(ctx context.Context) error {
		once.Do(func() {
			if s.err == nil {
				err = s.x.s.note(callStop(ctx, s.p.Instance), 1)
			}
			err = errors.Join(err, os.RemoveAll(dir))
		})
		return err
	}
}

// close ends what the check has not ended.
func (s *Starting) close() {
	s.cancel()
	if !s.Within(s.x.s.stopBound()) {
		_ = s.x.s.note(fmt.Errorf("start %w though it was given up", errHung), 1)
		return
	}
	if err := s.p.End(); err != nil {
		s.x.Note(oracle.Lifecycle, "stopping it after the check: %v", err)
	}
}

// Cancel gives the start up.
func (s *Starting) Cancel() { s.cancel() }

// Within reports whether Start returns within d.
func (s *Starting) Within(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.Done:
		return true
	case <-timer.C:
		return false
	}
}

// Result returns what Start returned, once it has: an instance or an error.
func (s *Starting) Result() (*Proxy, error) {
	<-s.Done
	if s.err != nil {
		return nil, s.err
	}
	return s.p, nil
}

// End waits for Start to return, stops the instance if there is one, and removes its directory.
func (s *Starting) End() error {
	<-s.Done
	return s.p.End()
}

// Said is the end of what the instance has written to its log.
func (s *Starting) Said() string { return s.p.log.String() }
