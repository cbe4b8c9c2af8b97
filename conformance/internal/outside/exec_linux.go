// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package outside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
)

// Exec returns the Start of a backend whose instances are processes: t is the command line, fixed that it has no
// word for the policy.
func (o Options) Exec(t *Template, fixed bool) func(context.Context, conformance.Config) (*conformance.Instance, error) {
	return func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
		if c.SocketPath != "" && !t.Uses(Socket) {
			return nil, errors.New("outside: the command line has no {socket}")
		}
		if c.SocketPath == "" {
			c.SocketPath = filepath.Join(c.Dir, "socket")
		}
		v, err := t.values(c, fixed)
		if err != nil {
			return nil, err
		}
		door, err := o.door(t, c, v)
		if err != nil {
			return nil, err
		}
		p, err := o.start(c, t.expand(v, nil))
		if err != nil {
			return nil, err
		}
		if err := p.ready(ctx, door, 3*o.grace()); err != nil {
			moved := p.elsewhere(c.Port)
			if moved == nil {
				return nil, errors.Join(err, p.stop(context.WithoutCancel(ctx)))
			}
			// It runs, but somewhere else than it was told to: that is for the checks to judge.
			door = moved
		}
		i := &conformance.Instance{Addr: door, Stop: p.stop, Kill: p.kill, Done: p.died}
		if t.Uses(Socket) {
			i.SocketPath = c.SocketPath
		}
		return i, nil
	}
}

// door is where the command is told to listen, and completes the values.
func (o Options) door(t *Template, c conformance.Config, v map[string]string) (net.Addr, error) {
	if !t.Uses(Listen, Port) {
		return &net.UnixAddr{Net: "unix", Name: c.SocketPath}, nil
	}
	port := c.Port
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	a := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	v[Listen], v[Addr], v[Port] = a.String(), "127.0.0.1", strconv.Itoa(port)
	return a, nil
}

// Running returns the Start of a backend that is one proxy at door, which the command line t starts the first time.
// The backend has to be restricted to one policy and one instance.
func (o Options) Running(door net.Addr, t *Template) func(context.Context, conformance.Config) (*conformance.Instance, error) {
	return func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
		v, err := t.values(c, true)
		if err != nil {
			return nil, err
		}
		if a, ok := door.(*net.TCPAddr); ok {
			v[Listen], v[Addr], v[Port] = a.String(), a.IP.String(), strconv.Itoa(a.Port)
		}
		p, err := o.start(c, t.expand(v, nil))
		if err != nil {
			return nil, err
		}
		if err := p.ready(ctx, door, 3*o.grace()); err != nil {
			return nil, errors.Join(err, p.stop(context.WithoutCancel(ctx)))
		}
		i := &conformance.Instance{Addr: door, Stop: p.stop, Kill: p.kill, Done: p.died}
		if a, ok := door.(*net.UnixAddr); ok {
			i.SocketPath = a.Name
		}
		return i, nil
	}
}

// poll is how often a condition nobody announces is looked at.
const poll = 5 * time.Millisecond

// ready waits until door accepts connections and the one who accepts them is the process: another's listener at
// the same place would otherwise pass for it.
func (p *process) ready(ctx context.Context, door net.Addr, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	others := false
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, door.Network(), door.String()); err == nil {
			ours := p.accepts(conn)
			conn.Close()
			if ours {
				return nil
			}
			others = true
		}
		select {
		case <-p.exited:
			return fmt.Errorf("outside: the command ended (%s) before it accepted connections at %s; it has to stay in the foreground", p.status(), door)
		case <-ctx.Done():
			if others {
				return fmt.Errorf("outside: somebody else listens at %s", door)
			}
			return fmt.Errorf("outside: the command runs and accepts no connections at %s", door)
		case <-tick.C:
		}
	}
}

// status says how a process that has exited did so.
func (p *process) status() string {
	var exit *exec.ExitError
	switch err := p.waitErr; {
	case err == nil:
		return "exit status 0"
	case errors.As(err, &exit):
		return exit.Error()
	default:
		return err.Error()
	}
}
