// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// filtered is a built-in proxy that admits github.com.
func filtered(t *testing.T) proxycore.BuiltIn {
	t.Helper()
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"github.com", "*.example"}})
	if err != nil {
		t.Fatal(err)
	}
	return proxycore.BuiltIn{Config: proxycore.Config{Filter: f}}
}

func chainOf(t *testing.T, s Spec, o ChainOptions) *proxycore.Handle {
	t.Helper()
	if s.StartTimeout == 0 {
		s.StartTimeout = long
	}
	s.Env = append(slices.Clone(s.Env), noRaceDelay)
	h, err := Chain(t.Context(), filtered(t), s.Start, o)
	if err != nil {
		t.Fatalf("Chain: %v", err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// echoes reports whether c carries bytes to the fake proxy and back.
func echoes(t *testing.T, c net.Conn) bool {
	t.Helper()
	if _, err := io.WriteString(c, "ping"); err != nil {
		return false
	}
	got := make([]byte, 4)
	_, err := io.ReadFull(c, got)
	return err == nil && string(got) == "ping"
}

// The filter stands in front, whatever the external proxy listens on, and the end of
// either way of getting there is the end of the tunnel.
func TestChain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec Spec
		o    ChainOptions
	}{
		"TCP":    {Spec{Argv: fake(t, "serve")}, ChainOptions{}},
		"socket": {Spec{Argv: fake(t, "socket", "", "{socket}"), Socket: true}, ChainOptions{}},
		"locked": {Spec{Argv: fake(t, "locked"), Unfiltered: true, credentials: &credentials{"u", "p"}}, ChainOptions{User: "u", Password: "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := testMark(t)
			tc.spec.Env = []string{mark}
			h := chainOf(t, tc.spec, tc.o)
			c, attached := dial(t, h), dialAttached(t, h)
			for _, c := range []net.Conn{c, attached} {
				if got := connectOver(t, c, "github.com:443"); got != 200 || !echoes(t, c) {
					t.Fatalf("CONNECT to an admitted name = %d; want 200 and a tunnel", got)
				}
			}
			if got := connectStatus(t, h, "gitlab.com:443"); got != 403 {
				t.Errorf("CONNECT to a denied name = %d; want 403", got)
			}
			if got := connectStatus(t, h, "169.254.169.254:80"); got != 403 {
				t.Errorf("CONNECT to a guarded address = %d; want 403", got)
			}
			if err := h.SetFilter(nil); err != nil {
				t.Errorf("SetFilter: %v", err)
			}
			awaitEOF(t, c)
			if err := errors.Join(h.Close(), h.Err()); err != nil {
				t.Errorf("Close: %v", err)
			}
			awaitEOF(t, attached)
			if left := carriers(mark); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// EX-06: the death of the external proxy is the death of the chain, at once.
func TestChainDies(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Spec{
		"TCP":    {Argv: fake(t, "serve")},
		"socket": {Argv: fake(t, "socket", "", "{socket}"), Socket: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark := testMark(t)
			s.Env = []string{mark}
			h := chainOf(t, s, ChainOptions{})
			c := dial(t, h)
			if got := connectOver(t, c, "github.com:443"); got != 200 {
				t.Fatalf("CONNECT = %d; want 200", got)
			}
			killAll(t, mark)
			<-h.Done()
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			awaitEOF(t, c)
			var exit *ExitError
			if err := h.Err(); !errors.As(err, &exit) || !strings.Contains(exit.Status, "killed") {
				t.Errorf("Err = %v; want the *ExitError of the external proxy", err)
			}
			if c, err := net.Dial("tcp", h.Addr()); err == nil {
				c.Close()
				t.Error("the built-in proxy still accepts")
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A chain whose external proxy is restarted answers 502 meanwhile, and never goes direct.
func TestChainRestarts(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Spec{
		"TCP":    {Argv: fake(t, "serve")},
		"socket": {Argv: fake(t, "socket", "", "{socket}"), Socket: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mark, clock := testMark(t), newHandClock()
			s.Env, s.Restart, s.StartTimeout = []string{mark}, &Restart{}, long
			h, err := Chain(t.Context(), filtered(t), func(ctx context.Context) (*proxycore.Handle, error) {
				return s.start(ctx, clock.clock())
			}, ChainOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			killAll(t, mark)
			<-clock.pauses
			if got := connectStatus(t, h, "github.com:443"); got != 502 {
				t.Errorf("CONNECT while the external proxy is down = %d; want 502", got)
			}
			if got := connectStatus(t, h, "gitlab.com:443"); got != 403 {
				t.Errorf("CONNECT to a denied name meanwhile = %d; want 403", got)
			}
			clock.goOn <- struct{}{}
			await(t, "the external proxy is back", func() bool { return h.Ready() == nil })
			if got := connectStatus(t, h, "github.com:443"); got != 200 {
				t.Errorf("CONNECT after the restart = %d; want 200", got)
			}
		})
	}
}

// The end of the built-in proxy by itself is the chain's too: a record that cannot be kept.
func TestChainWithoutRecords(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	b := filtered(t)
	b.Record = func(proxycore.Record) error { return full }
	h, err := Chain(t.Context(), b, Spec{Argv: fake(t, "serve"), StartTimeout: long}.Start, ChainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, _ = io.WriteString(dial(t, h), "CONNECT gitlab.com:443 HTTP/1.1\r\nHost: gitlab.com\r\n\r\n")
	<-h.Done()
	if err := h.Err(); !errors.Is(err, full) {
		t.Errorf("Err = %v; want %v", err, full)
	}
}

// Whatever goes wrong, the external proxy does not outlive the error.
func TestChainFails(t *testing.T) {
	mark := testMark(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	spec := Spec{Argv: fake(t, "serve"), Config: "x", Env: []string{mark}, StartTimeout: long}
	occupied := filtered(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	occupied.Port = l.Addr().(*net.TCPAddr).Port
	chained := filtered(t)
	chained.Upstream, _ = proxycore.ParseUpstream("http://127.0.0.1:1")
	sorry := errors.New("sorry")
	for name, tc := range map[string]struct {
		b     proxycore.BuiltIn
		start func(context.Context) (*proxycore.Handle, error)
		o     ChainOptions
		want  error
	}{
		"front cannot listen": {occupied, spec.Start, ChainOptions{}, nil},
		"two upstreams":       {chained, spec.Start, ChainOptions{}, ErrInvalidSpec},
		"start":               {filtered(t), func(context.Context) (*proxycore.Handle, error) { return nil, sorry }, ChainOptions{}, sorry},
		"credentials":         {filtered(t), spec.Start, ChainOptions{User: "a:b"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Chain(t.Context(), tc.b, tc.start, tc.o)
			if h != nil || err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Chain = %v, %v; want %v", h, err, tc.want)
			}
			left, _ := os.ReadDir(tmp)
			if pids := carriers(mark); len(pids)+len(left) > 0 {
				t.Errorf("processes %v and files %v are left", pids, left)
			}
		})
	}
}

// The only way past the filter is the external proxy's own socket, in the directory
// that was asked for, and goes with the chain.
func TestChainLeavesNoSocket(t *testing.T) {
	tmp, elsewhere := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", elsewhere)
	t.Chdir(tmp)
	h := chainOf(t, Spec{Argv: fake(t, "socket", "", "{socket}"), Socket: true, TempDir: ".", Dir: elsewhere}, ChainOptions{})
	if dirs, err := filepath.Glob(filepath.Join(tmp, "*", "proxy.sock")); err != nil || len(dirs) != 1 {
		t.Errorf("sockets %v, %v; want the one of the external proxy", dirs, err)
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("%v in TMPDIR, %v; want nothing", left, err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// Shutdown lets tunnels end by themselves before the external proxy is asked to go.
func TestChainDrains(t *testing.T) {
	t.Parallel()
	h := chainOf(t, Spec{Argv: fake(t, "serve")}, ChainOptions{})
	c := dial(t, h)
	if got := connectOver(t, c, "github.com:443"); got != 200 {
		t.Fatalf("CONNECT = %d; want 200", got)
	}
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(context.Background()) }()
	await(t, "nothing is accepted any more", func() bool {
		c, err := net.Dial("tcp", h.Addr())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if !echoes(t, c) {
		t.Error("the tunnel was cut by Shutdown")
	}
	c.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
