// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// killDelay is how long a sandbox's supervisor has to end it before it is killed itself.
const killDelay = 5 * time.Second

func (s Sandbox) command(ctx context.Context, h *proxycore.Handle, name string, arg []string) (*exec.Cmd, error) {
	if err := s.check(h, name); err != nil {
		return nil, err
	}
	modes, ruledOut, err := waysOf(s.mode())
	if err != nil {
		return nil, err
	}
	p, err := s.params(h)
	if err != nil {
		return nil, err
	}
	if ruledOut != nil {
		p.RuledOut = ruledOut.Error()
	}
	hide, err := findHidden(s.Hide)
	if err != nil {
		return nil, err
	}
	var bwrap []string
	if slices.Contains(modes, Bwrap) {
		if bwrap, err = s.throughBwrap(hide); err != nil {
			return nil, err
		}
	}
	if slices.Contains(modes, UserNS) {
		p.Hide = hide
	}
	g, err := newGate(h, proxycore.Listening{Name: s.Name, Filter: s.Filter, MaxConns: s.MaxConns}, p)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, runningProgram)
	cmd.Args = append([]string{"sallyport-sandbox", roleSupervise}, wayArgs(g.name, modes, bwrap, append([]string{name}, arg...))...)
	// Signals reach the command by being passed on, and only so: a Ctrl-C must
	// not come twice. A supervisor that is stopped when this process dies must go on to
	// see that. It cannot be killed, as parent-death signals come when the thread that
	// called Start ends, and it has to see its sandbox end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGCONT}
	cmd.WaitDelay = killDelay
	cmd.Cancel = func() error {
		// The supervisor, rather than be killed, kills the sandbox and sees it end.
		if err := g.kill(); errors.Is(err, net.ErrClosed) {
			return os.ErrProcessDone
		}
		return nil
	}
	// A command that is let go of without being started takes its gate along.
	runtime.AddCleanup(cmd, (*gate).abandon, g)
	g.serve(ctx)
	return cmd, nil
}

// check finds the mistakes that need no look at the system.
func (s Sandbox) check(h *proxycore.Handle, name string) error {
	switch {
	case !initialised.Load():
		return errors.New("bridge: Init was not called: call bridge.Init() first thing in main (in a test, in TestMain)")
	case h == nil:
		return errors.New("bridge: no proxy for the sandbox: the handle is nil")
	case name == "":
		return errors.New("bridge: no command to run in the sandbox")
	case s.Port < 0 || s.Port > 65535:
		return fmt.Errorf("bridge: sandbox port %d is not between 0 and 65535", s.Port)
	case s.MaxConns < 0:
		return fmt.Errorf("bridge: sandbox limit of %d connections is negative: 0 means no limit of its own", s.MaxConns)
	case s.Mode == UserNS && len(s.BwrapArgs) > 0:
		return errors.New("bridge: bwrap arguments were given, but the sandbox mode is userns: use bwrap or auto")
	}
	_, err := checkBwrapArgs(s.BwrapArgs, hazards{})
	return err
}

// mode is the mode to use: with arguments for bwrap, nothing else will do.
func (s Sandbox) mode() Mode {
	if len(s.BwrapArgs) > 0 {
		return Bwrap
	}
	return s.Mode
}

// params gathers what the init must know.
func (s Sandbox) params(h *proxycore.Handle) (p params, err error) {
	l, err := checkBwrapArgs(s.BwrapArgs, hazards{})
	if err != nil {
		return p, err
	}
	p = params{CABundle: h.CABundle(), Java: h.JavaTrustStore(), Terminal: s.Terminal, Chdir: l.chdir, Changed: len(l.args) > 0}
	if p.wish, err = s.wishes(h); err != nil {
		return p, err
	}
	if s.bypassesLoopback(h) {
		p.NoProxy = "-"
	}
	if p.NetNS, p.PIDNS, err = hostNamespaces(); err != nil {
		return p, err
	}
	return p, s.planDoors(&p)
}

// bypassesLoopback reports whether NO_PROXY must be empty: the policy admits
// something on the host's loopback, which clients must ask the proxy for.
func (s Sandbox) bypassesLoopback(h *proxycore.Handle) bool {
	f := s.Filter
	if f == nil {
		f = h.Filter()
	}
	if f != nil {
		return f.AdmitsLoopback()
	}
	for _, kv := range h.Environ(nil) {
		if v, ok := strings.CutPrefix(kv, "NO_PROXY="); ok {
			return v == ""
		}
	}
	return false
}

// throughBwrap returns the command line that runs a command under bwrap, but for the command.
func (s Sandbox) throughBwrap(hide []cover) ([]string, error) {
	path, err := findBwrap()
	if err != nil {
		return nil, err
	}
	h, err := findHazards()
	if err != nil {
		return nil, err
	}
	h.hidden = hide
	network := s.Transparent || s.Port > 0 && s.Port < 1024
	args, err := bwrapArgs(s.BwrapArgs, h, network, selfInSandbox, roleInit)
	return append([]string{path}, args...), err
}

// openSelf opens the running program such that it can be executed, but neither
// read nor written, where its file is not in sight.
func openSelf() (fd int, err error) {
	fd, err = unix.Open(runningProgram, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("bridge: open %s: %w", runningProgram, err)
	}
	return fd, nil
}
