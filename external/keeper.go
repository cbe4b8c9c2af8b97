// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"
)

// errStopping ends a restart that is under way when the handle is closed.
var errStopping = errors.New("external: the proxy is being closed")

// keeper stands for a proxy over all its restarts: it owns the place, starts the
// child there, and opens and closes the way to it.
type keeper struct {
	spec   Spec
	clock  clock
	bundle string
	hold   *hold // used by whoever starts the child: first Start, then watch; nil with Socket
	files  place

	ctx     context.Context // ends restarts
	stop    context.CancelFunc
	watched chan struct{} // closed when watch has ended

	mu       sync.Mutex // guards the fields below; nothing blocks while it is held
	child    *process
	at       endpoint // invalid while the child is down or not known to be ready
	conns    map[net.Conn]struct{}
	stopping bool // no child is started any more
}

// newKeeper takes a place for s. cleanUp gives it back.
func newKeeper(s Spec, c clock) (*keeper, error) {
	if s.Output != nil {
		s.Output = &inTurn{w: s.Output}
	}
	if s.TempDir != "" {
		var err error // the child's working directory may be another one
		if s.TempDir, err = filepath.Abs(s.TempDir); err != nil {
			return nil, fmt.Errorf("external: TempDir of %s: %w", s.name(), err)
		}
	}
	k := &keeper{spec: s, clock: c, watched: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	k.ctx, k.stop = context.WithCancel(context.Background())
	var err error
	port := 0
	if !s.Socket {
		if k.hold, err = choosePort(s.Port); err != nil {
			return nil, err
		}
		port = k.hold.port
	}
	if k.files, err = s.makePlace(port); err != nil {
		k.hold.release()
		return nil, err
	}
	k.bundle = k.files.replacer().Replace(s.CABundle)
	return k, nil
}

// launch starts the child and returns when it is ready, with nothing left of it
// on error. A child that met our hold on its port gets a second chance without.
func (k *keeper) launch(ctx context.Context) (endpoint, error) {
	if k.spec.Unheld {
		k.hold.open()
	}
	at, err := k.attempt(ctx)
	if errors.Is(err, errHeld) {
		k.hold.open()
		at, err = k.attempt(ctx)
	}
	return at, err
}

func (k *keeper) attempt(ctx context.Context) (endpoint, error) {
	p, err := launch(k.spec, k.files)
	if err != nil {
		return endpoint{}, err
	}
	at, err := p.awaitReady(ctx, readiness{
		at:     k.files,
		limit:  orDefault(k.spec.StartTimeout, defaultStartTimeout),
		bundle: k.bundle,
		probe:  k.spec.probe(),
		held:   k.hold.kernel(),
	})
	if err == nil && !k.up(p, at) {
		err = errStopping
	}
	if err != nil {
		return endpoint{}, errors.Join(err, p.kill())
	}
	return at, nil
}

// up opens the way to a child that is ready; false means that the handle is closed.
func (k *keeper) up(p *process, at endpoint) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopping {
		return false
	}
	k.child, k.at = p, at
	return true
}

// down closes the way to the child and cuts what goes through it.
func (k *keeper) down() {
	k.mu.Lock()
	k.at = endpoint{}
	conns := k.conns
	k.conns = make(map[net.Conn]struct{})
	k.mu.Unlock()
	for c := range conns {
		c.Close()
	}
}

// ready is the handle's Ready.
func (k *keeper) ready() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.valid() {
		return k.downError()
	}
	return nil
}

func (k *keeper) downError() error {
	return fmt.Errorf("external: %s is down; it is used again once it has been restarted", k.spec.name())
}

// dial is the handle's way to the proxy; ctx lives as long as the connection.
func (k *keeper) dial(ctx context.Context) (net.Conn, error) {
	k.mu.Lock()
	child, at := k.child, k.at
	k.mu.Unlock()
	if !at.valid() {
		return nil, k.downError()
	}
	c, err := at.dial(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	same := k.child == child && k.at.valid()
	if same {
		k.conns[c] = struct{}{}
	}
	k.mu.Unlock()
	if !same {
		c.Close()
		return nil, fmt.Errorf("external: %s ended while it was connected to", k.spec.name())
	}
	context.AfterFunc(ctx, func() { k.forget(c) })
	return c, nil
}

func (k *keeper) forget(c net.Conn) {
	k.mu.Lock()
	delete(k.conns, c)
	k.mu.Unlock()
}

// watch waits for deaths, restarts where that is asked for, and reports the end.
func (k *keeper) watch(fail func(error)) {
	defer close(k.watched)
	var series series
	for {
		began := k.clock.now()
		k.mu.Lock()
		p := k.child
		k.mu.Unlock()
		<-p.ended
		k.down() // what the child left behind may still hold its sockets
		<-p.done
		if isClosed(p.stopping) || k.isStopping() {
			return
		}
		err := p.exitError(true)
		if k.spec.Restart != nil {
			series.ran(*k.spec.Restart, k.clock.now().Sub(began))
			err = k.restart(&series, err)
		}
		if k.isStopping() {
			return
		}
		if err != nil {
			fail(errors.Join(err, k.cleanUp()))
			return
		}
	}
}

// restart starts the child until it is ready again; the error says why it was given up.
func (k *keeper) restart(s *series, why error) error {
	for {
		pause, ok := s.next(*k.spec.Restart)
		if !ok {
			return fmt.Errorf("external: %s was restarted %d times in a row to no avail: %w", k.spec.name(), s.n, why)
		}
		if err := k.clock.sleep(k.ctx, pause); err != nil {
			return err
		}
		if _, err := k.launch(k.ctx); err == nil {
			return nil
		} else if k.ctx.Err() == nil {
			why = err
		}
	}
}

func (k *keeper) isStopping() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stopping
}

// halt keeps the child from being started again and returns the last one.
func (k *keeper) halt() *process {
	k.mu.Lock()
	k.stopping = true
	p := k.child
	k.mu.Unlock()
	k.stop()
	return p
}

// close is the handle's Close.
func (k *keeper) close() error { return k.finish((*process).close) }

// shutdown is the handle's Shutdown.
func (k *keeper) shutdown(ctx context.Context) error {
	return k.finish(func(p *process) error { return p.shutdown(ctx) })
}

// finish ends the child in the given way and gives up its place.
func (k *keeper) finish(end func(*process) error) error {
	err := end(k.halt())
	<-k.watched
	return errors.Join(err, k.cleanUp())
}

// cleanUp gives the place back. It does no harm a second time.
func (k *keeper) cleanUp() error {
	k.stop()
	k.hold.release()
	return errors.Join(k.files.remove(), k.spec.removeLeftovers(k.files))
}

// clock lets the tests of restarts do without waiting.
type clock struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

var systemClock = clock{now: time.Now, sleep: func(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}}
