// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
	"golang.org/x/sys/unix"
)

// handClock is a clock that moves when the test says so: every pause waits for a
// permission and is noted.
type handClock struct {
	pauses chan time.Duration
	goOn   chan struct{}
}

func newHandClock() *handClock {
	return &handClock{pauses: make(chan time.Duration, 100), goOn: make(chan struct{}, 100)}
}

func (c *handClock) clock() clock {
	return clock{now: time.Now, sleep: func(ctx context.Context, d time.Duration) error {
		c.pauses <- d
		select {
		case <-c.goOn:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

// startWith starts a fake proxy with a clock of the test's own.
func startWith(t *testing.T, c *handClock, s Spec) *proxycore.Handle {
	t.Helper()
	if s.StartTimeout == 0 {
		s.StartTimeout = long
	}
	s.Env = append(slices.Clone(s.Env), noRaceDelay)
	h, err := s.start(t.Context(), c.clock())
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// killAll kills the processes with mark and waits until they are gone.
func killAll(t *testing.T, mark string) {
	t.Helper()
	for _, pid := range carriers(mark) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// While a proxy is down nothing gets through, and then the same handle works again.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Spec{
		"TCP":    {Argv: fake(t, "serve")},
		"socket": {Argv: fake(t, "socket", "", "{socket}"), Socket: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark, clock := testMark(t), newHandClock()
			s.Env, s.Restart = []string{mark}, &Restart{Max: 3}
			h := startWith(t, clock, s)
			l := attach(t, h)
			for range 2 {
				c := dialTo(t, l)
				if got := connectOver(t, c, "github.com:443"); got != 200 {
					t.Fatalf("CONNECT = %d; want 200", got)
				}
				killAll(t, mark)
				awaitEOF(t, c)
				<-clock.pauses
				if err := h.Ready(); err == nil || !strings.Contains(err.Error(), "down") {
					t.Errorf("Ready while it is down: %v", err)
				}
				if got, _ := io.ReadAll(dialTo(t, l)); len(got) > 0 {
					t.Errorf("an answer while the proxy is down: %q", got)
				}
				if !s.Socket {
					if !holdsPort(t, h.Port()) {
						t.Error("nobody holds the port while the proxy is down")
					}
				}
				clock.goOn <- struct{}{}
				await(t, "the proxy is back", func() bool { return h.Ready() == nil })
			}
			select {
			case <-h.Done():
				t.Errorf("Done is closed: %v", h.Err())
			default:
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			if left := carriers(mark); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// A proxy that listens again is used again only once it has refused again: neither
// what is attached nor a chain gets to it before.
func TestRestartedProxyIsProbed(t *testing.T) {
	t.Parallel()
	mark, clock, flag := testMark(t), newHandClock(), filepath.Join(t.TempDir(), "flag")
	var behind *proxycore.Handle
	h, err := Chain(t.Context(), filtered(t), func(context.Context) (*proxycore.Handle, error) {
		behind = startWith(t, clock, Spec{Argv: fake(t, "once-slow", "", flag), Env: []string{mark}, Restart: &Restart{}})
		return behind, nil
	}, ChainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	killAll(t, mark)
	<-clock.pauses
	clock.goOn <- struct{}{}
	await(t, "the second child is asked", func() bool { _, err := os.Stat(flag + ".2"); return err == nil })
	if got := connectOver(t, dialTo(t, behind.Addr()), "github.com:443"); got != 200 {
		t.Fatalf("CONNECT past the handle = %d; want 200, or else this shows nothing", got)
	}
	if got := connectStatus(t, h, "github.com:443"); got != 502 {
		t.Errorf("CONNECT through the chain = %d; want 502", got)
	}
	if got, _ := io.ReadAll(dialAttached(t, behind)); len(got) > 0 {
		t.Errorf("an answer from a proxy that has not refused yet: %q", got)
	}
}

// The way to a child is cut and closed by us, not only by the child's death.
func TestDown(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	k := &keeper{spec: Spec{Argv: []string{"x"}}, conns: make(map[net.Conn]struct{})}
	if _, err := k.dial(t.Context()); err == nil {
		t.Error("dial before it is up succeeded")
	}
	k.up(nil, endpoint{addr: netip.MustParseAddrPort(l.Addr().String())})
	ctx, cancel := context.WithCancel(t.Context())
	first, err1 := k.dial(ctx)
	second, err2 := k.dial(t.Context())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	cancel()
	await(t, "a connection that is over is forgotten", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.conns) == 1
	})
	k.down()
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after down: %v; want a closed connection", err)
	}
	if _, err := k.dial(t.Context()); err == nil || k.ready() == nil {
		t.Error("dial after down succeeded")
	}
	_, k.stop = context.WithCancel(t.Context())
	if k.halt(); k.up(nil, endpoint{socket: "x"}) {
		t.Error("a child that became ready after the end is used")
	}
}

// What a dead proxy left behind is gone before the next one starts, and Close ends
// what a deaf one has around it in its second life too. Its output is written on.
func TestRestartEndsTheTree(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"fork", "fork-setsid", "fork-orphan", "flood"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			mark, clock, pidFile := testMark(t), newHandClock(), filepath.Join(t.TempDir(), "pid")
			h := startWith(t, clock, Spec{
				Argv: fake(t, behaviour, "", pidFile), Env: []string{mark}, Output: io.Discard,
				Restart: &Restart{}, StopGrace: 50 * time.Millisecond,
			})
			first := 0
			if behaviour != "flood" {
				first = readPid(t, pidFile)
				_ = os.Remove(pidFile)
			}
			killLeader(t, mark)
			<-clock.pauses
			if first != 0 && exists(first) {
				t.Errorf("grandchild %d of the first child is left", first)
			}
			clock.goOn <- struct{}{}
			await(t, "the proxy is back", func() bool { return h.Ready() == nil })
			if behaviour != "flood" {
				readPid(t, pidFile)
			}
			if got := connectStatus(t, h, "github.com:443"); got != 200 {
				t.Errorf("CONNECT = %d; want 200", got)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			if left := carriers(mark); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// killLeader kills the child itself, of the processes with mark.
func killLeader(t *testing.T, mark string) {
	t.Helper()
	for _, pid := range carriers(mark) {
		if s, err := readStat(pid); err == nil && s.parent == os.Getpid() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// What does not come back is given up, for the reason of the last try.
func TestRestartGivesUp(t *testing.T) {
	t.Parallel()
	for behaviour, check := range map[string]func(error) bool{
		"once": func(err error) bool {
			var exit *ExitError
			return errors.As(err, &exit) && exit.Code == 4
		},
		"once-open": func(err error) bool { return errors.Is(err, ErrOpen) },
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			mark, clock := testMark(t), newHandClock()
			for range 3 {
				clock.goOn <- struct{}{}
			}
			h := startWith(t, clock, Spec{
				Argv: fake(t, behaviour, "", "{dir}/flag"), Env: []string{mark},
				Restart: &Restart{Max: 3, Backoff: time.Second, MaxBackoff: 3 * time.Second},
			})
			killAll(t, mark)
			<-h.Done()
			if err := h.Err(); !check(err) || !strings.Contains(err.Error(), "3 times") {
				t.Errorf("Err = %v; want the last reason after 3 restarts", err)
			}
			close(clock.pauses)
			var pauses []time.Duration
			for d := range clock.pauses {
				pauses = append(pauses, d)
			}
			if want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}; !slices.Equal(pauses, want) {
				t.Errorf("pauses %v; want %v", pauses, want)
			}
			if left := carriers(mark); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// Close ends a handle in every state of a restart, and leaves nothing.
func TestCloseWhileRestarting(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ goOn, shutdown bool }{
		"in the pause": {}, "while it starts": {goOn: true}, "in the pause, Shutdown": {shutdown: true}, "while it starts, Shutdown": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark, clock, flag := testMark(t), newHandClock(), filepath.Join(t.TempDir(), "flag")
			h := startWith(t, clock, Spec{Argv: fake(t, "once-silent", "", flag, "{dir}"), Env: []string{mark}, Restart: &Restart{}})
			killAll(t, mark)
			<-clock.pauses
			if tc.goOn {
				clock.goOn <- struct{}{}
				await(t, "the second child is there", func() bool { _, err := os.Stat(flag + ".2"); return err == nil })
			}
			end := h.Close
			if tc.shutdown {
				end = func() error { return h.Shutdown(t.Context()) }
			}
			if err := end(); err != nil {
				t.Errorf("the end: %v", err)
			}
			if left := carriers(mark); len(left) > 0 || h.Err() != nil {
				t.Errorf("processes %v are left, Err = %v", left, h.Err())
			}
		})
	}
}

// attach puts a listener of its own in front of h and returns its address.
func attach(t *testing.T, h *proxycore.Handle) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		_, err = h.Attach(l, proxycore.Listening{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func dialTo(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(long))
	return c
}

func dialAttached(t *testing.T, h *proxycore.Handle) net.Conn { return dialTo(t, attach(t, h)) }
