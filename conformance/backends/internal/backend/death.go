// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// errDiskFull is what kills a built-in proxy under test: it dies in earnest when it cannot record a
// decision any more.
var errDiskFull = errors.New("no space left on the device of the decision log")

// Mortal makes the built-in proxy die by the function it returns.
func Mortal(b *proxycore.BuiltIn) (kill func(ctx context.Context, i *conformance.Instance) error) {
	var full atomic.Bool
	record := b.Record
	b.Record = func(r proxycore.Record) error {
		if full.Load() {
			return errDiskFull
		}
		return record(r)
	}
	return func(ctx context.Context, i *conformance.Instance) error {
		full.Store(true)
		c, err := (&net.Dialer{}).DialContext(ctx, i.Addr.Network(), i.Addr.String())
		if err != nil {
			return fmt.Errorf("backends: killing the proxy: %w", err)
		}
		defer c.Close()
		fmt.Fprint(c, "CONNECT the-last-straw.example.net:443 HTTP/1.1\r\nHost: the-last-straw.example.net:443\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		select {
		case <-i.Done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("backends: the proxy survives a full decision log: %w", ctx.Err())
		}
	}
}

// MarkVariable, in the environment of an external proxy, is how KillMarked finds it.
const MarkVariable = "BACKENDS_MARK"

// KillMarked kills every process that has mark in its environment by SIGKILL, and waits for the death to be seen.
func KillMarked(ctx context.Context, mark string, done <-chan struct{}) error {
	pids, err := marked(MarkVariable + "=" + mark)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("backends: no process carries the mark %s", mark)
	}
	for _, pid := range pids {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("backends: killing process %d: %w", pid, err)
		}
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("backends: the death was not noticed: %w", ctx.Err())
	}
}

// EndMarked asks every process that has mark in its environment to end, kills what is left after grace, and returns
// when none is left. It is the Stop of programs that the suite itself starts.
func EndMarked(ctx context.Context, mark string, grace time.Duration) error {
	kill := time.Now().Add(grace)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	asked := map[int]bool{}
	for {
		pids, err := marked(MarkVariable + "=" + mark)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			switch p, err := os.FindProcess(pid); {
			case err != nil:
			case time.Now().After(kill):
				_ = p.Kill()
			case !asked[pid]:
				asked[pid] = true
				_ = p.Signal(syscall.SIGTERM)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("backends: %d processes do not end: %w", len(pids), ctx.Err())
		}
	}
}
