// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
)

// start starts the proxy for c and returns when it listens. It is on the suite's network, because this process is.
func start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	if len(c.Deny) > 0 || c.SocketPath != "" {
		return nil, errors.New("execute: the proxy knows neither deny rules nor unix sockets")
	}
	if c.Upstream != nil || c.Child != nil || c.Transparent {
		return nil, errors.New("execute: the proxy goes through no other one, starts none, and has no sandbox")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("execute: %w", err)
	}
	headTimeout := cmp.Or(c.HeadTimeout, 10*time.Second)
	cmd := exec.Command(self, append([]string{"proxy", strconv.Itoa(c.Port), headTimeout.String()}, c.Allow...)...)
	cmd.Stderr = c.Log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("execute: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("execute: starting the proxy: %w", err)
	}
	// Whatever happens, the process is ended and waited for, once.
	end := sync.OnceValue(func() error {
		defer cmd.Wait()
		return cmd.Process.Kill()
	})
	giveUp := context.AfterFunc(ctx, func() { _ = end() })
	line, err := bufio.NewReader(out).ReadString('\n') // it says where, or closes its output by ending
	if !giveUp() || err != nil {
		return nil, errors.Join(errors.New("execute: the proxy ended before it listened"), ctx.Err(), end())
	}
	addr, err := net.ResolveTCPAddr("tcp", strings.TrimSpace(line))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("execute: the proxy listens on %q: %w", line, err), end())
	}
	return &conformance.Instance{Addr: addr, Stop: func(context.Context) error { return end() }}, nil
}
