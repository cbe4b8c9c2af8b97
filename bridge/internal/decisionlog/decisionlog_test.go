// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package decisionlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

func record(host string) proxycore.Record {
	return proxycore.Record{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Sandbox: "s", Client: "127.0.0.1:5", Method: "CONNECT",
		Host: host, Port: 443, Decision: "deny", Reason: proxycore.HostNotAllowed,
	}
}

// writes counts calls of Write.
type writes struct {
	bytes.Buffer
	n int
}

func (w *writes) Write(p []byte) (int, error) { w.n++; return w.Buffer.Write(p) }

func TestRecordIsOneLineAndOneWrite(t *testing.T) {
	t.Parallel()
	var w writes
	l := To(&w, "test")
	const parallel = 50
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			if err := l.Record(record("a.com")); err != nil {
				t.Errorf("Record: %v", err)
			}
		})
	}
	wg.Wait()
	if w.n != parallel {
		t.Errorf("got %d writes, want %d", w.n, parallel)
	}
	for line := range strings.Lines(w.String()) {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if got["host"] != "a.com" || got["decision"] != "deny" || got["reason"] != "host_not_allowed" {
			t.Errorf("got %v, want host a.com, denied with host_not_allowed", got)
		}
	}
}

func TestRecordHoldsNoControlCharacters(t *testing.T) {
	t.Parallel()
	const hostile = "a\x00\x1b[2J\r\n\x7f\u0085\u202e\U0001f600\"\\.com"
	var w bytes.Buffer
	if err := To(&w, "test").Record(record(hostile)); err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSuffix(w.String(), "\n")
	for i := range len(line) {
		if line[i] < 0x20 || line[i] >= 0x7f {
			t.Fatalf("byte %#x in %q", line[i], line)
		}
	}
	var got struct{ Host string }
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
}

func TestOpenAppendsPrivately(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "log")
	for range 2 {
		l, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Record(record("a.com")); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if err := l.Record(record("a.com")); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Record after Close: got %v, want os.ErrClosed", err)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(data, []byte("\n")); got != 2 {
		t.Errorf("got %d lines, want 2", got)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != 0o600 {
		t.Errorf("got mode %o, want 600", got)
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Join(dir, "none", "log")} {
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open(%q): got %v, want an error that names it", name, err)
		}
	}
}

// short writes less than it was given.
type short struct{ calls int }

func (s *short) Write(p []byte) (int, error) { s.calls++; return len(p) - 1, nil }

func TestFirstFailureIsFinal(t *testing.T) {
	t.Parallel()
	w := new(short)
	l := To(w, "test")
	for range 3 {
		if err := l.Record(record("a.com")); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("Record: got %v, want io.ErrShortWrite", err)
		}
	}
	if w.calls != 1 {
		t.Errorf("got %d writes, want 1", w.calls)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	l, err := Open("/dev/full")
	if err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	defer l.Close()
	if err := l.Record(record("a.com")); err == nil || !strings.Contains(err.Error(), "decision log /dev/full: cannot be written") {
		t.Errorf("Record: got %v, want an error that names the log", err)
	}
}

func TestNilLogRecordsNothing(t *testing.T) {
	t.Parallel()
	var l *Log
	if err := errors.Join(l.Record(record("a.com")), l.Close()); err != nil {
		t.Errorf("nil Log: %v", err)
	}
}
