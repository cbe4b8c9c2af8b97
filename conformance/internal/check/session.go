// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

// Session runs checks against one subject and keeps what they share: the world, the instances, the
// observations of the vector tables. It is used by one goroutine.
type Session struct {
	subject Subject
	world   *world.World
	bound   time.Duration
	head    time.Duration
	pulse   *pulse

	instances map[string]*started
	observed  map[string]*Observed
	talks     map[*Instance]*Talk // programs in sandboxes of shared instances
	answered  bool                // the first shared instance was asked

	mu sync.Mutex
	// stuck counts how often a Start (which weighs more) or a Stop has not returned: whatever holds them up
	// is likely to hold up every later one, and a run has to end. Guarded by mu.
	stuck int
	why   error // of the last one; guarded by mu
}

// patience is how much of being stuck a run bears.
const patience = 3

// note remembers that a call has not returned.
func (s *Session) note(err error, weight int) error {
	if errors.Is(err, errHung) {
		s.mu.Lock()
		s.stuck, s.why = s.stuck+weight, err
		s.mu.Unlock()
	}
	return err
}

// giveUp ends all further starts: a backend that cannot run with the policy nearly all checks need, or that answers
// nobody, has made the run invalid, and the rest would only take time.
func (s *Session) giveUp(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck, s.why = patience, err
}

// lost is not nil once there is no point in starting anything more.
func (s *Session) lost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck < patience {
		return nil
	}
	return fmt.Errorf("%w: not tried again: %w", ErrStart, s.why)
}

var errHung = errors.New("has not returned")

type started struct {
	p   *Proxy
	err error
}

// Times are the bounds of a session. The zero value means the defaults.
type Times struct {
	// Bound is how long what ought to happen at once may take: 3 s by default.
	Bound time.Duration
	// Head is the time the shared instances are to give a client for its head: 2 s by default.
	Head time.Duration
}

// NewSession prepares a run against s in w; the caller closes first the session, then the world.
func NewSession(s Subject, w *world.World, t Times) *Session {
	if t.Bound <= 0 {
		t.Bound = 3 * time.Second
	}
	if t.Head <= 0 {
		t.Head = 2 * time.Second
	}
	return &Session{
		subject: s, world: w, bound: t.Bound, head: t.Head, pulse: newPulse(),
		instances: map[string]*started{}, observed: map[string]*Observed{}, talks: map[*Instance]*Talk{},
	}
}

func (s *Session) stopBound() time.Duration { return 3*s.bound + time.Second }

// shared returns the instance for a policy, started on first use.
func (s *Session) shared(name string, c Config) (*Proxy, error) {
	if st, ok := s.instances[name]; ok {
		return st.p, st.err
	}
	p, err := s.start(context.Background(), c)
	if err != nil && name == "core" {
		s.giveUp(err)
	}
	if err == nil && !s.answered && len(c.Allow) > 0 {
		if err = s.answers(p); err != nil {
			s.giveUp(err)
			ctx, cancel := context.WithTimeout(context.Background(), s.stopBound())
			defer cancel()
			p, err = nil, errors.Join(err, p.stop(ctx))
		}
		s.answered = true
	}
	s.instances[name] = &started{p, err}
	return p, err
}

// answers makes sure that somebody is there before anything is judged: an address nobody answers at says
// nothing about a proxy. Any answer will do. What is only reached from inside a sandbox is left to the checks.
func (s *Session) answers(p *Proxy) error {
	if p.Addr == nil {
		return nil
	}
	conn, err := probe.Dial(p.Addr, s.bound)
	if err != nil {
		return fmt.Errorf("%w: nobody is at the address it gave: %w", ErrStart, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2*s.bound + s.head))
	r := bufio.NewReader(conn)
	io.WriteString(conn, Head(AllowedTarget))
	got := probe.ReadResponse(r, "CONNECT")
	if got.OK() {
		// Once the echo is back the origin's connection is certainly made, and disturbs no check later.
		io.WriteString(conn, "anybody there?\n")
		r.ReadString('\n')
	}
	if got.Status == 0 {
		return fmt.Errorf("%w: what is at %v gives no HTTP answer to a CONNECT for an allowed host: %s%s", ErrStart, p.Addr, got, quoted(p.log))
	}
	return nil
}

// start starts an instance with a directory and a log of its own, and sees to it that a Start that hangs
// or panics is an error like any other.
func (s *Session) start(ctx context.Context, c Config) (*Proxy, error) {
	if err := s.lost(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "egress-")
	if err != nil {
		return nil, fmt.Errorf("conformance: a directory for the backend: %w", err)
	}
	log := &tail{}
	c.Dir, c.Log = dir, log
	ctx, cancel := context.WithTimeout(ctx, s.startBound())
	defer cancel()
	inst, err := s.callStart(ctx, c)
	if s.note(err, patience) != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w%s", ErrStart, err, quoted(log)), os.RemoveAll(dir))
	}
	var once sync.Once
	var stopErr error
	stop := func(ctx context.Context) error {
		once.Do(func() {
			stopErr = errors.Join(s.note(callStop(ctx, inst), 1), os.RemoveAll(dir))
		})
		return stopErr
	}
	return &Proxy{Instance: inst, Config: c, log: log, stop: stop}, nil
}

func (s *Session) startBound() time.Duration { return 10*s.bound + time.Second }

type startResult struct {
	inst *Instance
	err  error
}

func (s *Session) callStart(ctx context.Context, c Config) (*Instance, error) {
	done := make(chan startResult, 1)
	go func() {
		var r startResult
		defer func() {
			if v := recover(); v != nil {
				r.err = fmt.Errorf("start panicked: %v", v)
			}
			done <- r
		}()
		r.inst, r.err = s.subject.Start(ctx, c)
	}()
	select {
	case r := <-done:
		return r.inst, errors.Join(r.err, s.sound(r))
	case <-ctx.Done():
		return nil, fmt.Errorf("start %w within %v", errHung, s.startBound())
	}
}

// sound checks that what Start returned can be used at all.
func (s *Session) sound(r startResult) error {
	switch {
	case r.err != nil:
		return nil
	case r.inst == nil:
		return errors.New("start returned neither an instance nor an error")
	case r.inst.Stop == nil:
		return errors.New("start returned an instance without Stop")
	case r.inst.Addr == nil && r.inst.Launch == nil:
		return errors.New("start returned an instance with neither Addr nor Launch: there is no way to it")
	}
	return nil
}

func callStop(ctx context.Context, inst *Instance) (err error) {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("stop panicked: %v", v)
			}
		}()
		done <- inst.Stop(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop %w: %w", errHung, ctx.Err())
	}
}

func quoted(t *tail) string {
	if s := t.String(); s != "" {
		return "; it said:\n" + s
	}
	return ""
}

// Close stops the shared instances, all at once: each has the whole of its time.
func (s *Session) Close() error {
	defer s.pulse.close()
	for _, t := range s.talks {
		t.Close()
	}
	clear(s.talks)
	ctx, cancel := context.WithTimeout(context.Background(), s.stopBound())
	defer cancel()
	names := slices.Sorted(maps.Keys(s.instances))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		st := s.instances[name]
		if st.p == nil {
			continue
		}
		wg.Go(func() {
			if err := st.p.stop(ctx); err != nil {
				errs[i] = fmt.Errorf("conformance: stopping the instance for policy %s: %w", name, err)
			}
		})
	}
	wg.Wait()
	clear(s.instances)
	return errors.Join(errs...)
}
