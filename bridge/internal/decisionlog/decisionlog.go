// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package decisionlog writes the log of --log: one JSON object on one line for
// each request the proxy decided.
//
// A line is one write, so that several processes can append to one file, and
// holds printable ASCII only, so that showing the log on a terminal is safe
// whatever a sandboxed program asked for. The first failure is final: a proxy
// that cannot record what it does must stop, and [Log.Record] has the
// form that proxycore.Config.Record wants for that.
package decisionlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/sallyport-dev/sallyport/bridge/internal/printable"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// Log appends decisions to a file or a stream. A nil *Log records nothing. It
// is safe for concurrent use.
type Log struct {
	name  string
	close func() error

	mu  sync.Mutex
	w   io.Writer
	err error // the first failure, returned ever after
}

// Open opens the named file for appending. A new file gets mode 0600; an
// existing one keeps its mode. The caller closes the Log.
func Open(name string) (*Log, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("decision log %s: cannot be opened for appending: %w; %s", name, err, remedy(err))
	}
	return &Log{name: name, w: f, close: f.Close}, nil
}

// remedy says what to do about a log that cannot be opened or written.
func remedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "make its directory first, or name another file"
	case errors.Is(err, syscall.EPIPE):
		return "keep its reader running, or name a file"
	case errors.Is(err, fs.ErrPermission):
		return "name a file that this user may write"
	}
	return "make room for it, or name another file"
}

// To returns a Log that writes to w, called name in errors. Closing it does
// not close w.
func To(w io.Writer, name string) *Log {
	return &Log{name: name, w: w, close: func() error { return nil }}
}

// Record writes r as one line with one write. After an error every further
// call returns that error and writes nothing.
func (l *Log) Record(r proxycore.Record) error {
	if l == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("decision log %s: %w", l.name, err)
	}
	line = append(printable.JSON(line), '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if n, err := l.w.Write(line); err != nil || n < len(line) {
		if err == nil {
			err = io.ErrShortWrite
		}
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		l.err = fmt.Errorf("decision log %s: cannot be written: %w; %s", l.name, err, remedy(err))
	}
	return l.err
}

// Close closes the file, if Open opened one. Records after Close are errors.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, os.ErrClosed) {
		return nil
	}
	l.err = errors.Join(l.err, fmt.Errorf("decision log %s: %w", l.name, os.ErrClosed))
	return l.close()
}
