// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// Proxy is a running instance with the client's side of it.
type Proxy struct {
	*Instance
	// Config is what it was started with.
	Config Config

	x    *X
	log  *tail
	stop func(context.Context) error
}

// ErrStart wraps the error of a backend that could not be started.
var ErrStart = errors.New("the backend did not start")

// Start starts an instance of the check's own; it is stopped when the check is over. The directory
// and the log are filled in.
func (x *X) Start(c Config) (*Proxy, error) {
	x.needs(c, true)
	if err := x.s.lost(); err != nil {
		x.Abort("%v", err) // which must not pass for a refusal
	}
	p, err := x.s.start(x.Ctx, c)
	if err != nil {
		return nil, err
	}
	p.x = x
	x.Defer(func() {
		if err := p.End(); err != nil {
			x.Note(oracle.Lifecycle, "stopping it after the check: %v", err)
		}
	})
	return p, nil
}

// MustStart is Start for checks whose subject is not the start: they cannot be carried out without.
func (x *X) MustStart(c Config) *Proxy {
	p, err := x.Start(c)
	if err != nil {
		x.Abort("%v", err)
	}
	return p
}

// PolicyConfig returns the configuration of one of the vectors' policies.
func (x *X) PolicyConfig(name string) Config {
	pol, ok := vectors.Policies()[name]
	if !ok {
		panic("conformance: no policy " + name)
	}
	return Config{Allow: pol.Allow, Deny: pol.Deny, HeadTimeout: x.s.head}
}

// Policy returns the instance all checks share that runs one of the vectors' policies. Checks must
// leave it as they found it.
func (x *X) Policy(name string) *Proxy { return x.Shared(name, x.PolicyConfig(name)) }

// Shared returns the instance all checks share under a name, which always stands for the same c. Checks must leave
// it as they found it.
func (x *X) Shared(name string, c Config) *Proxy {
	x.needs(c, false)
	p, err := x.s.shared(name, c)
	if err != nil {
		x.Abort("%v", err)
	}
	return &Proxy{Instance: p.Instance, Config: p.Config, x: x, log: p.log, stop: p.stop}
}

// needs ends the check as not applicable when the backend has declared that it cannot be asked for c. An error
// of Start would not do: checks of what has to be refused would take it for a refusal.
func (x *X) needs(c Config, own bool) {
	if x.s.subject.Declines == nil {
		return
	}
	why := x.s.subject.Declines(c, own)
	if why == "" {
		return
	}
	x.mu.Lock()
	x.result.Outcome, x.result.Reason = NA, why
	x.mu.Unlock()
	runtime.Goexit()
}

// Core is the shared instance with the policy most checks need.
func (x *X) Core() *Proxy { return x.Policy("core") }

// End stops the instance, once, within twice the bound: a Stop that ignores its context must not hang
// the run.
func (p *Proxy) End() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.x.s.stopBound())
	defer cancel()
	return p.stop(ctx)
}

// Said is the end of what the proxy has said so far.
func (p *Proxy) Said() string { return p.log.String() }

// door are the addresses that belong to the proxy itself.
func (p *Proxy) door() []netip.AddrPort {
	if a, ok := p.Addr.(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return []netip.AddrPort{netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}
	}
	return nil
}

// Dial connects to the proxy the way the backend is entered: its address, or from inside its sandbox.
func (p *Proxy) Dial() (probe.Conn, error) {
	if p.Addr != nil {
		return probe.Dial(p.Addr, p.x.Bound())
	}
	cmd, err := p.Probe(context.WithoutCancel(p.x.Ctx), probe.OpPipe)
	if err != nil {
		return nil, err
	}
	return probe.Pipe(cmd, p.x.Bound())
}

// Probe prepares the probe inside the sandbox.
func (p *Proxy) Probe(ctx context.Context, op string, args ...string) (*exec.Cmd, error) {
	if p.Launch == nil {
		return nil, errors.New("conformance: the instance has no Launch, though it claims a sandbox")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("conformance: finding the probe: %w", err)
	}
	cmd, err := p.Launch(ctx, LaunchConfig{
		Path: self, Args: append([]string{probe.Argument, op}, args...),
		// A binary built with -race otherwise sleeps for a second before it exits.
		Env: []string{"GORACE=atexit_sleep_ms=0"},
	})
	if err != nil {
		return nil, fmt.Errorf("conformance: Launch: %w", err)
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.log
	}
	// A process the sandbox leaves behind holds the streams open: that is a finding, and must not keep
	// Wait from returning.
	cmd.WaitDelay = p.x.Bound()
	return cmd, nil
}

// MustDial is Dial where a proxy that does not answer is a finding.
func (p *Proxy) MustDial() probe.Conn {
	c, err := p.Dial()
	if err != nil {
		p.x.Fail(oracle.Lifecycle, "the proxy cannot be reached: %v", err)
	}
	p.x.Defer(func() { c.Close() })
	return c
}

// tail keeps the end of a proxy's output, in whole lines: what is left of a line whose beginning is gone could
// be half a secret, which nobody would recognise as one.
type tail struct {
	mu  sync.Mutex
	buf []byte // guarded by mu
	cut bool   // the first line of buf has lost its beginning; guarded by mu
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf, t.cut = t.buf[over:], true
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.cut {
		return string(t.buf)
	}
	_, whole, _ := bytes.Cut(t.buf, []byte("\n"))
	return "…\n" + string(whole)
}
