// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package outside

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// Launch returns the Start of a backend that is nothing but a command which runs another in its sandbox. Start runs
// a command that does nothing, so that a launcher that does not work, or does not take the policy, says so there.
func (o Options) Launch(t *Template, fixed bool) func(context.Context, conformance.Config) (*conformance.Instance, error) {
	return func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
		if c.SocketPath != "" {
			return nil, errors.New("outside: a launcher makes no unix socket")
		}
		v, err := t.values(c, fixed)
		if err != nil {
			return nil, err
		}
		life, end := context.WithCancel(context.Background())
		l := &launcher{t: t, v: v, life: life, family: family{mark: envMark + "=" + rand.Text()}, grace: o.grace()}
		i := &conformance.Instance{Launch: l.launch, Stop: func(ctx context.Context) error { return l.stop(ctx, end) }}
		if err := l.try(ctx, o, c); err != nil {
			return nil, errors.Join(err, i.Stop(context.WithoutCancel(ctx)))
		}
		return i, nil
	}
}

type launcher struct {
	t     *Template
	v     map[string]string
	life  context.Context // ends with the instance
	grace time.Duration

	mu      sync.Mutex
	family  family // guarded by mu
	stopped sync.Once
	stopErr error
}

// try runs a command that exits at once.
func (l *launcher) try(ctx context.Context, o Options, c conformance.Config) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("outside: finding this program: %w", err)
	}
	cmd, err := l.launch(ctx, conformance.LaunchConfig{Path: self, Args: []string{probe.Argument, probe.OpExit, "0"}})
	if err != nil {
		return err
	}
	out := o.output(c)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, o.grace()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("outside: the launcher fails (%w) with a command that exits with status 0", err)
	}
	return nil
}

// launch prepares a command. It ends with ctx and with the instance, by SIGTERM first.
func (l *launcher) launch(ctx context.Context, c conformance.LaunchConfig) (*exec.Cmd, error) {
	if l.life.Err() != nil {
		return nil, errors.New("outside: the instance was stopped, nothing more is launched")
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(l.life, cancel)
	argv := l.t.expand(l.v, append([]string{c.Path}, c.Args...))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(append(os.Environ(), c.Env...), l.family.mark)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		l.mu.Lock()
		l.family.groups = append(l.family.groups, cmd.Process.Pid)
		l.mu.Unlock()
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
	}
	return cmd, nil
}

// stop ends all that was launched.
func (l *launcher) stop(ctx context.Context, end context.CancelFunc) error {
	l.stopped.Do(func() {
		end()
		tick := time.NewTicker(4 * poll)
		defer tick.Stop()
		ctx, cancel := context.WithTimeout(ctx, l.grace)
		defer cancel()
		for n := 0; ; n++ {
			l.mu.Lock()
			f := family{mark: l.family.mark, groups: append([]int{}, l.family.groups...)}
			l.mu.Unlock()
			left := f.members()
			if len(left) == 0 {
				return
			}
			if n%again == 0 {
				// Also those whose launcher has long ended: that it left them behind was for the checks to see.
				signalAll(left, syscall.SIGTERM)
			}
			select {
			case <-ctx.Done():
				f.killAll(left)
				l.stopErr = fmt.Errorf("outside: %d process(es) of the launcher had not ended %v after SIGTERM and were killed", len(left), l.grace)
				return
			case <-tick.C:
			}
		}
	})
	return l.stopErr
}
