// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package cli

import (
	"fmt"
	"os"
	"runtime"

	"github.com/sallyport-dev/sallyport/bridge"
)

// closeInheritedOnExec has no sandboxed command to protect here.
func closeInheritedOnExec() {}

// isTerminal reports whether f is a character device, which is close enough
// for where it is asked: nothing that run prints.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// ignoreBrokenPipes is not needed where nothing has to be cleaned up.
func ignoreBrokenPipes() {}

// runSupported says what does not work here and what does.
func runSupported() error {
	return fmt.Errorf("run needs the namespaces of Linux, and this is %s; what works here is sallyport proxy, "+
		"to which programs are pointed with HTTPS_PROXY (nothing then keeps them from going round it), and sallyport check. "+
		"To enforce a policy, run sallyport in a Linux virtual machine or container", runtime.GOOS)
}

// leftToTerminal exists for the sake of run, which never gets that far here.
func leftToTerminal(os.Signal) bool { return false }

// runDirect exists for the sake of run, which never gets that far here.
func runDirect(s Streams, _ []string, _ *signals, _ []string) int {
	complain(s.Stderr, runSupported())
	return bridge.ExitFailed
}
