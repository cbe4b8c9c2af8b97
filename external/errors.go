// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"strings"
)

// The errors of [Spec.Start], [Attach] and their handles, to be tested with errors.Is. The text of the error
// that wraps them says which program, which port and what to do next.
var (
	// ErrInvalidSpec is returned when the Spec itself cannot be used: no command,
	// a port out of range, an environment entry without "=".
	ErrInvalidSpec = errors.New("invalid specification")
	// ErrPortInUse is returned, before anything is started, when the fixed port is taken.
	ErrPortInUse = errors.New("port already in use")
	// ErrStranger is returned when a process that is not the child or one of its
	// descendants listens where the child was to listen (Linux).
	ErrStranger = errors.New("another process owns the port")
	// ErrExposed is returned when the child listens on an address that other
	// machines can reach (Linux).
	ErrExposed = errors.New("proxy listens beyond loopback")
	// ErrOpen is returned when the proxy did not refuse what it had to refuse
	// before it could be trusted: it admits more than its policy can mean.
	ErrOpen = errors.New("proxy is open")
	// ErrGone is what the handle of an attached proxy reports when the process that
	// listened has ended (Linux).
	ErrGone = errors.New("proxy is gone")
	// ErrStartTimeout is returned when the child was not listening in time.
	ErrStartTimeout = errors.New("proxy was not ready in time")
)

// ExitError says that the proxy process ended although nobody asked it to. It is
// what Start returns for a child that exits before it listens, and what the
// handle's Err returns afterwards; use errors.As.
type ExitError struct {
	// Name is the base name of the program. Arguments are left out: they may hold secrets.
	Name string
	// Code is the exit status, or -1 when a signal ended the process.
	Code int
	// Status is the same in words: "exit status 3", "signal: killed".
	Status string
	// Output is the end of what the process wrote to stdout and stderr, at most a
	// few lines, with control characters made visible.
	Output string
	// Ready tells whether the process had been listening before it ended.
	Ready bool
}

// Error names the program, how it ended and what it said last.
func (e *ExitError) Error() string {
	when, next := "before it listened", "correct its configuration and start it again"
	if e.Ready {
		when, next = "unexpectedly", "the network is closed until it is started again"
	} else if e.Code == 0 {
		next = "run it in the foreground (squid -N, tinyproxy -d): a proxy that leaves for the background cannot be watched"
	}
	return fmt.Sprintf("external: %s ended %s (%s); %s%s", e.Name, when, e.Status, next, quoteOutput(e.Output))
}

// quoteOutput renders the tail of a child's output as the end of an error text.
func quoteOutput(tail string) string {
	if tail == "" {
		return "; it wrote nothing"
	}
	return "; its last output:\n\t" + strings.ReplaceAll(tail, "\n", "\n\t")
}
