// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// blockedAfter is when an end that has to wait says what it waits for.
const blockedAfter = 5 * time.Second

// Server is a CONNECT proxy (RFC 9110 section 9.3.6) for any number of
// listeners. Its methods may be called from any goroutine, in any order.
//
// A server ends by Close, by Shutdown, or by itself when a record could not be
// kept. An ended server stays ended.
type Server struct {
	cfg   Config // with defaults
	log   *slog.Logger
	pins  map[string][]netip.Addr
	local localAddrs
	ctx   context.Context // ends lookups and dials when the server ends
	stop  context.CancelFunc
	done  chan struct{}
	onEnd func(error) // if non-nil, called before done is closed, if there is an error

	blockedAfter time.Duration // see the constant; shorter in tests

	recordMu sync.Mutex // held while Config.Record runs; never taken with mu held

	mu      sync.Mutex // guards the fields below; nobody waits for a connection or a hook while it is held
	filter  *Filter
	serving map[*serving]struct{}
	// reachable are those of serving that have an address here, which sandboxes'
	// sockets do not have. Every target is compared with them.
	reachable map[*serving]struct{}
	conns     map[*conn]struct{}
	served    int // those of conns that count against MaxConns,
	refused   int // and those that were one too many
	draining  bool
	ended     bool
	err       error         // why the server ended by itself
	late      error         // what it could not record while others ended it
	changed   chan struct{} // closed at the next change that somebody waits for
	release   func()        // of what connections share; nil before the first
}

// NewServer checks cfg and returns a server that listens to nothing yet. It
// starts no goroutine, so a server that is never used need not be closed.
func NewServer(cfg Config) (*Server, error) {
	pins, err := pinned(cfg.Hosts)
	if err != nil {
		return nil, err
	}
	if cfg.Upstream != nil && cfg.Upstream.scheme == "" {
		return nil, errZeroUpstream
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:       cfg,
		log:       cfg.Logger,
		pins:      pins,
		local:     localAddrs{log: cfg.Logger},
		done:      make(chan struct{}),
		filter:    cfg.Filter,
		serving:   make(map[*serving]struct{}),
		reachable: make(map[*serving]struct{}),
		conns:     make(map[*conn]struct{}),

		blockedAfter: blockedAfter,
	}
	if addrs, err := interfaces.latest(); addrs == nil {
		return nil, fmt.Errorf("proxycore: list the host's addresses, which must not be reachable through the proxy: %w; let the process use netlink sockets", err)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// SetFilter replaces the filter of every listener that has none of its own.
// Requests are judged by it from now on, also those that are being connected,
// and live tunnels that it would refuse are cut before SetFilter returns; their
// records say policy_closed. Nil denies everything.
func (s *Server) SetFilter(f *Filter) {
	s.mu.Lock()
	s.filter = f
	cut := s.narrow(func(src *source) bool { return src.o.Filter == nil })
	s.mu.Unlock()
	cutAll(cut)
}

// ReplaceFilter does the same for the listeners, and sandboxes, that were attached
// with the filter old of their own: this very one, not one that is equal. From now
// on f is theirs; nil means the server's.
func (s *Server) ReplaceFilter(old, f *Filter) {
	s.mu.Lock()
	changed := make(map[*source]bool)
	for sv := range s.serving {
		changed[sv.source] = old != nil && sv.o.Filter == old
	}
	for c := range s.conns { // their listener may be closed already
		changed[c.sv.source] = old != nil && c.sv.o.Filter == old
	}
	for src, ok := range changed {
		if ok {
			src.o.Filter = f
		}
	}
	cut := s.narrow(func(src *source) bool { return changed[src] })
	s.mu.Unlock()
	cutAll(cut)
}

// narrow marks the live tunnels of some sources as cut that the filter in force
// would refuse, and returns them. s.mu is held.
func (s *Server) narrow(of func(*source) bool) (cut []*conn) {
	for c := range s.conns {
		if c.state == stateTunnel && of(c.sv.source) && !c.judge(s.filterFor(c.sv.source)).Allowed {
			c.markCut(PolicyClosed)
			cut = append(cut, c)
		}
	}
	return cut
}

// filterFor is the filter in force for src. s.mu is held.
func (s *Server) filterFor(src *source) *Filter {
	if src.o.Filter != nil {
		return src.o.Filter
	}
	return s.filter
}

// currentFilter is the filter of listeners that have none of their own.
func (s *Server) currentFilter() *Filter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filter
}

// Done is closed when the server has ended: nothing of it runs any more.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the server ended by itself: a record that could not be kept.
// Nil while it runs and after Close or Shutdown.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the server at once: listeners are closed, lookups and dials in
// flight are cancelled, and both sides of every live tunnel see the end of the
// stream. When it returns no goroutine of the server is left; a wait of more
// than 5 s is logged with what it waits for. It returns the first error of a record
// that could not be kept meanwhile, nil otherwise, and is idempotent. It must not
// be called by Config.Record, which it waits for.
func (s *Server) Close() error {
	s.end(nil)
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late
}

// Shutdown drains the server: listeners and connections without a complete
// request are closed, requests and tunnels run on until they are over or ctx is
// done, and then the server is closed. It returns ctx's error if tunnels had to
// be cut, joined with Close's. It must not be called by Config.Record, which it waits for.
func (s *Server) Shutdown(ctx context.Context) error {
	return errors.Join(s.drain(ctx), s.Close())
}

// drain is the first half of Shutdown.
func (s *Server) drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	var cut []*conn
	for c := range s.conns {
		if c.state == stateHead {
			c.markCut("")
			cut = append(cut, c)
		}
	}
	sockets := s.stopServing(nil)
	s.mu.Unlock()
	closeAll(sockets)
	cutAll(cut)
	return s.wait(ctx, nil)
}

// fail ends the server because of err, without waiting.
func (s *Server) fail(err error) {
	s.log.Error("the proxy ends", "err", err)
	s.end(err)
}

// end marks the server as ended, cuts everything, and lets a goroutine close
// s.done once all is gone.
func (s *Server) end(err error) {
	s.mu.Lock()
	if s.ended {
		if s.err == nil && s.late == nil {
			s.late = err
		}
		s.mu.Unlock()
		return
	}
	s.ended, s.err = true, err
	if s.draining { // whoever drains calls Close next, and must learn of it
		s.late = err
	}
	s.stop()
	sockets := s.stopServing(nil)
	cut := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		c.markCut("")
		cut = append(cut, c)
	}
	s.mu.Unlock()
	go s.finish()
	closeAll(sockets)
	cutAll(cut)
}

// setLate has Close return err.
func (s *Server) setLate(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = cmp.Or(s.late, err)
}

// finish waits for everything that end has cut.
func (s *Server) finish() {
	s.wait(context.Background(), nil)
	s.mu.Lock()
	release := s.release
	s.mu.Unlock()
	if release != nil {
		release()
	}
	if err := s.Err(); err != nil && s.onEnd != nil {
		s.onEnd(err)
	}
	close(s.done)
}

// wait returns when no socket and no connection is left, or none of src's if it
// is not nil, or ctx is done.
func (s *Server) wait(ctx context.Context, src *source) error {
	began := time.Now()
	tick := time.NewTicker(s.blockedAfter)
	defer tick.Stop()
	for {
		s.mu.Lock()
		left := s.left(src)
		if len(left) == 0 {
			s.mu.Unlock()
			return nil
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed, ended := s.changed, s.ended
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if ended || src != nil {
				s.log.Warn("closing is blocked", "since", time.Since(began).Round(time.Second), "waiting_for", left)
			}
		}
	}
}

// left describes up to ten of the things that wait waits for. s.mu is held.
func (s *Server) left(src *source) []string {
	const most = 10
	var out []string
	for sv := range s.serving {
		if len(out) < most && (src == nil || sv.source == src) {
			out = append(out, sv.String())
		}
	}
	for c := range s.conns {
		if len(out) == most {
			break
		}
		if src == nil || c.sv.source == src {
			out = append(out, c.describe())
		}
	}
	return out
}

// notify wakes those who wait for a change. s.mu is held.
func (s *Server) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
