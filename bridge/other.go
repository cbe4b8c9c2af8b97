// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// unsupported says what does not work on this system and what does.
func unsupported(what string) error {
	return fmt.Errorf("bridge: %s needs Linux and this is %s; the proxy itself works here: "+
		"start it (sallyport proxy, or proxycore.BuiltIn) and point the program's HTTPS_PROXY at it, "+
		"or run Sallyport in a Linux virtual machine: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

func runRole() {}

func probe(context.Context, Mode) (Mode, error) {
	return "", unsupported("a sandbox without a network")
}

func (s Sandbox) command(context.Context, *proxycore.Handle, string, []string) (*exec.Cmd, error) {
	return nil, unsupported("a sandbox without a network")
}

func (s Sandbox) explain(context.Context) ([]DoorState, error) {
	return nil, unsupported("a sandbox without a network")
}

func (s Session) run(*exec.Cmd) (int, error) {
	return ExitFailed, unsupported("a sandbox without a network")
}

func wantsTerminal(*os.File) bool { return false }

func forwardedSignals() []os.Signal { return []os.Signal{os.Interrupt} }

func (s Socket) start(_ context.Context, h *proxycore.Handle) (*proxycore.Handle, error) {
	err := unsupported("the socket bridge")
	if s.BestEffort != nil {
		s.BestEffort(err)
		return h, nil
	}
	return nil, errors.Join(err, h.Close())
}
