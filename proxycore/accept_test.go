// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAcceptErrorsThatPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	l := &faultyListener{Listener: listen(t), errs: make(chan error, 10)}
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENFILE, syscall.ENOBUFS} {
		l.errs <- &net.OpError{Op: "accept", Err: errno}
	}
	began := time.Now()
	if _, err := w.h.Attach(l, Listening{Name: "box"}); err != nil {
		t.Fatal(err)
	}
	if got := dialProxy(t, l.Addr().String()).status(head("evil.com:443")); got != 403 {
		t.Errorf("status %d, want 403", got)
	}
	if took, least := time.Since(began), 15*minAcceptPause; took < least {
		t.Errorf("four errors were passed over in %v, want pauses of at least %v", took, least)
	}
	if r := w.record(); r.Sandbox != "box" {
		t.Errorf("record = %+v, want sandbox box", r)
	}
}

// The errors that accept(2) hands on from a connection are not the listener's.
func TestNetworkErrorsOfAcceptPass(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENOPROTOOPT} {
		if err := error(&net.OpError{Op: "accept", Err: errno}); !passing(err) {
			t.Errorf("%v ends the listener", err)
		}
	}
	if passing(net.ErrClosed) || passing(syscall.EBADF) {
		t.Error("a listener that is gone is waited for")
	}
}

func TestAcceptErrorsThatDoNot(t *testing.T) {
	t.Parallel()
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := &faultyListener{Listener: listen(t), errs: make(chan error, 1)}
	broken := errors.New("broken")
	l.errs <- broken
	if err := s.Serve(l, Listening{}); !errors.Is(err, broken) {
		t.Errorf("Serve = %v, want the listener's error", err)
	}
	if _, err := l.Listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is still open: %v", err)
	}
}

func TestMaxConns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) { b.MaxConns = 2 })
	c1, o1 := w.tunnel("github.com:443")
	w.tunnel("github.com:443")
	// All of these are one too many; none keeps the others from their answer.
	for range overLimit + 20 {
		c := w.client()
		io.WriteString(c, head("github.com:443"))
		if res, _ := c.reply(); res.StatusCode != 503 {
			t.Fatalf("status %d, want 503", res.StatusCode)
		}
		if r := w.record(); r.Reason != LimitExceeded {
			t.Fatalf("record = %+v", r)
		}
		c.Close()
	}
	c1.Close()
	o1.Close()
	for {
		if r := w.record(); r.Decision == DecisionAllow {
			break
		}
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		c := w.client()
		if got := c.status(head("github.com:443")); got == 200 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("status %d with a free place", got)
		}
		c.Close()
	}
}

// One sandbox that opens all it can takes no place from the others: neither with
// what it is served nor with what it is refused.
func TestMaxConnsOfOneListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) { b.MaxConns = 3 })
	l := listen(t)
	if _, err := w.h.Attach(l, Listening{Name: "greedy", MaxConns: 1}); err != nil {
		t.Fatal(err)
	}
	held := dialProxy(t, l.Addr().String())
	if got := held.status(head("github.com:443")); got != 200 {
		t.Fatalf("the first: status %d, want 200", got)
	}
	origin := w.accept()
	for range 10 { // these stay, until the proxy has waited for their end long enough
		c := dialProxy(t, l.Addr().String())
		io.WriteString(c, head("github.com:443"))
		if res, body := c.reply(); res.StatusCode != 503 || !strings.Contains(body, string(LimitExceeded)) {
			t.Fatalf("one too many: status %d, %q; want 503", res.StatusCode, body)
		}
		if r := w.record(); r.Reason != LimitExceeded || r.Sandbox != "greedy" {
			t.Fatalf("record = %+v", r)
		}
	}
	for range 2 {
		w.tunnel("github.com:443")
	}
	if got := w.client().status(head("github.com:443")); got != 503 {
		t.Errorf("over the server's limit: status %d, want 503", got)
	}
	if r := w.record(); r.Reason != LimitExceeded || r.Sandbox != "" {
		t.Errorf("record = %+v", r)
	}
	held.Close()
	origin.Close()
	if r := w.record(); r.Decision != DecisionAllow {
		t.Fatalf("record = %+v", r)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		c := dialProxy(t, l.Addr().String())
		io.WriteString(c, head("github.com:443"))
		if res, _ := c.reply(); res.StatusCode == 200 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("status %d with a free place", res.StatusCode)
		}
	}
}

func TestIdleConnectionsDoNotLockOthersOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, nil)
	for range 300 {
		w.client()
	}
	w.tunnel("github.com:443")
}

func TestUnixListener(t *testing.T) {
	t.Parallel()
	w := newWorld(t, []string{"github.com"}, func(_ *world, b *BuiltIn) { b.Port = -1 })
	if w.h.Port() != 0 || w.h.Addr() != "" {
		t.Errorf("Port = %d, Addr = %q without a TCP listener", w.h.Port(), w.h.Addr())
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	detach, err := w.h.Attach(l, Listening{Name: "box"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, head("github.com:443")+"hello")
	expect(t, c, established)
	o := w.accept()
	expect(t, o, "hello")
	within(t, promptly, "detach", detach)
	expectEOF(t, c)
	expectEOF(t, o)
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("the socket still accepts after detach")
	}
	detach()
	if r := w.record(); r.Sandbox != "box" || r.Decision != DecisionAllow || r.Client != "" {
		t.Errorf("record = %+v", r)
	}
}
