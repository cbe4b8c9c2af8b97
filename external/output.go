// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	tailBytes = 8 << 10 // kept of the child's output
	tailLines = 12      // shown of it in an error
	readBytes = 16 << 10

	// sinkChunks bounds what waits for a slow Spec.Output: readBytes each.
	sinkChunks = 64
	// strayDelay is granted to a process outside our reach that holds the pipe
	// open when the child and everything we could end is gone.
	strayDelay = 200 * time.Millisecond
	// sinkDelay is granted to the last Write of Spec.Output.
	sinkDelay = time.Second
)

// output drains the child's stdout and stderr, whatever becomes of the readers
// behind it, so that the child never blocks on a full pipe.
type output struct {
	r    *os.File
	done chan struct{} // closed when drain has ended

	mu   sync.Mutex
	tail []byte // guarded by mu; at most 2*tailBytes
}

// newOutput returns the drain and the end of the pipe for the child, which the
// caller closes once the child has it.
func newOutput(w io.Writer) (*output, *os.File, error) {
	r, child, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("external: pipe for the proxy's output: %w", err)
	}
	o := &output{r: r, done: make(chan struct{})}
	go o.drain(newSink(w))
	return o, child, nil
}

func (o *output) drain(s *sink) {
	defer close(o.done)
	buf := make([]byte, readBytes)
	for {
		n, err := o.r.Read(buf)
		o.add(buf[:n])
		s.offer(buf[:n])
		if err != nil {
			break
		}
	}
	s.finish()
}

// close ends the drain: at once when every writer is gone, else after strayDelay.
func (o *output) close() {
	// Pipes on Windows have no deadlines; closing has to do there.
	if err := o.r.SetReadDeadline(time.Now().Add(strayDelay)); err != nil {
		select {
		case <-o.done:
		case <-time.After(strayDelay):
		}
	} else {
		<-o.done
	}
	o.r.Close()
	<-o.done
}

func (o *output) add(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(p) > tailBytes {
		p = p[len(p)-tailBytes:]
	}
	if len(o.tail)+len(p) > 2*tailBytes {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-tailBytes:]...)
	}
	o.tail = append(o.tail, p...)
}

// lastLines returns the end of the output, fit to be shown on a terminal.
func (o *output) lastLines() string {
	o.mu.Lock()
	tail := bytes.TrimRight(o.tail[max(0, len(o.tail)-tailBytes):], "\r\n\t ")
	text := strings.ToValidUTF8(string(tail), "\uFFFD")
	o.mu.Unlock()

	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return strings.Map(printable, strings.ReplaceAll(strings.Join(lines, "\n"), "\r\n", "\n"))
}

// saysInUse reports whether the child wrote that an address is taken. Nothing
// better tells: how a system call of another process ended cannot be seen.
func (o *output) saysInUse() bool {
	o.mu.Lock()
	text := strings.ToLower(string(o.tail))
	o.mu.Unlock()
	for _, words := range []string{"already in use", "address in use", "port in use", "is in use", "eaddrinuse", "errno 98", "(98)"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// printable keeps a child from sending escape sequences to the terminal through
// our error texts.
func printable(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	if r == '\t' {
		return ' '
	}
	return '\uFFFD'
}

// inTurn lets the outputs of children that follow one another share a writer, even
// when one got stuck in it.
type inTurn struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *inTurn) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

// sink passes output on to a writer that may be slow or stuck.
type sink struct {
	chunks  chan []byte
	done    chan struct{}
	dropped int // since the last chunk that got through; used by offer alone
}

// newSink returns nil for a nil writer; a nil sink drops everything.
func newSink(w io.Writer) *sink {
	if w == nil {
		return nil
	}
	s := &sink{chunks: make(chan []byte, sinkChunks), done: make(chan struct{})}
	go s.write(w)
	return s
}

func (s *sink) write(w io.Writer) {
	defer close(s.done)
	var failed bool
	for chunk := range s.chunks {
		if !failed {
			_, err := w.Write(chunk)
			failed = err != nil
		}
	}
}

func (s *sink) offer(p []byte) {
	if s == nil || len(p) == 0 {
		return
	}
	chunk := bytes.Clone(p)
	if s.dropped > 0 {
		chunk = append(fmt.Appendf(nil, "\n[external: %d bytes of output lost: the reader is too slow]\n", s.dropped), chunk...)
	}
	select {
	case s.chunks <- chunk:
		s.dropped = 0
	default:
		s.dropped += len(p)
	}
}

// finish waits for what is queued, but no longer than sinkDelay for a stuck writer.
func (s *sink) finish() {
	if s == nil {
		return
	}
	close(s.chunks)
	select {
	case <-s.done:
	case <-time.After(sinkDelay):
		for range s.chunks { // a writer that goes on later, after Close, gets nothing more
		}
	}
}
