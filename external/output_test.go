// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// write sends text through a new output and returns it drained.
func write(t *testing.T, w *blockingWriter, text string) *output {
	t.Helper()
	o, child, err := newOutput(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.WriteString(text); err != nil {
		t.Error(err)
	}
	child.Close()
	return o
}

// blockingWriter blocks while its gate is non-nil and open.
type blockingWriter struct {
	gate chan struct{}
	err  error
	got  bytes.Buffer
	n    int
}

func (w *blockingWriter) Write(p []byte) (int, error) {
	if w.gate != nil {
		<-w.gate
	}
	w.n++
	if w.err != nil {
		return 0, w.err
	}
	return w.got.Write(p)
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&many, "line %d\n", i)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":        {"", ""},
		"one":            {"FATAL: no\n", "FATAL: no"},
		"carriage":       {"a\r\nb\r\n", "a\nb"},
		"escape":         {"\x1b[2Jgone\x00\x7f", "\uFFFD[2Jgone\uFFFD\uFFFD"},
		"bidi":           {"a\u202Eb", "a\uFFFDb"},
		"invalid UTF-8":  {"a\xffb", "a\uFFFDb"},
		"last of many":   {many.String(), "line 4988\nline 4989\nline 4990\nline 4991\nline 4992\nline 4993\nline 4994\nline 4995\nline 4996\nline 4997\nline 4998\nline 4999"},
		"one large line": {strings.Repeat("y", 10*tailBytes), strings.Repeat("y", tailBytes)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := new(blockingWriter)
			o := write(t, w, tc.text)
			o.close()
			if got := o.lastLines(); got != tc.want {
				t.Errorf("lastLines = %.200q; want %.200q", got, tc.want)
			}
			if w.got.String() != tc.text {
				t.Errorf("Output got %d bytes; want all %d", w.got.Len(), len(tc.text))
			}
		})
	}
}

// EX-12: a reader of the output that is stuck costs output, nothing else.
func TestStuckOutputNeverBlocks(t *testing.T) {
	t.Parallel()
	w := &blockingWriter{gate: make(chan struct{})}
	o := write(t, w, strings.Repeat("z", 4*sinkChunks*readBytes))
	o.close() // or else the test does not end
	close(w.gate)
}

// What waited for a stuck writer is not written after the end.
func TestStuckOutputIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := &blockingWriter{gate: make(chan struct{})}
	s := newSink(w)
	for range sinkChunks {
		s.offer([]byte("z"))
	}
	s.finish()
	close(w.gate)
	<-s.done
	if w.n > 1 {
		t.Errorf("Write was called %d times; want no more than the one that was stuck", w.n)
	}
}

func TestFailedOutputIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := &blockingWriter{err: errors.New("disk full")}
	write(t, w, strings.Repeat("z", 10*readBytes)).close()
	if w.n != 1 {
		t.Errorf("Write was called %d times; want once, because it failed", w.n)
	}
}

// A process out of reach that keeps the pipe open does not hold up the end.
func TestOutputClosesDespiteAHolder(t *testing.T) {
	t.Parallel()
	o, child, err := newOutput(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	o.close()
}
