// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"log/slog"

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
