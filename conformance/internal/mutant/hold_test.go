// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// envSandbox makes a child a suite in the middle of a check: a fault of the sandbox, a colon, what the probe does.
const envSandbox = "CONFORMANCE_TEST_SANDBOX"

// inSandbox starts the probe in the sandbox, says so, and waits for its death.
func inSandbox(text string) error {
	fault, op, _ := strings.Cut(text, ":")
	b := Backend(Sandbox, refproxy.Fault(fault))
	dir, err := os.MkdirTemp("", "eg") // in the directory of the test, which removes it
	if err != nil {
		return err
	}
	var log bytes.Buffer
	inst, err := b.Start(context.Background(), conformance.Config{Dir: dir, Log: &log})
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd, err := inst.Launch(context.Background(), conformance.LaunchConfig{Path: self, Args: []string{probe.Argument, op, "[]"}})
	if err != nil {
		return err
	}
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	if op != probe.OpLater { // which says it on standard error
		if _, err := said.Read(make([]byte, 1)); err != nil {
			return fmt.Errorf("the probe said nothing: %w", err)
		}
		fmt.Fprintln(os.Stderr, "ready")
	}
	<-time.After(most)
	return nil
}
