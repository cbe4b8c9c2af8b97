// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/sallyport-dev/sallyport/bridge/internal/decisionlog"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// openLog opens what --log names: nothing, standard error, or a file. Standard
// output is never meant: it is the command's, or holds the proxy's ready line.
func openLog(s Streams, name string) (*decisionlog.Log, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return decisionlog.To(s.Stderr, "standard error"), nil
	}
	return decisionlog.Open(name)
}

// warn prints what is valid in a policy but wider than it looks.
func warn(w io.Writer, f *proxycore.Filter) {
	for _, text := range f.Warnings() {
		fmt.Fprintf(w, "sallyport: warning: %s\n", text)
	}
}

// logger writes operational messages of at least the given level. Its text form
// quotes every value, so a message cannot forge another.
func logger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// openOutput opens a file for the output of a proxy of the user's own. A new file gets mode
// 0600, as it may say who was talked to.
func openOutput(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be opened for appending: %w", name, withoutPath(err))
	}
	return f, nil
}
