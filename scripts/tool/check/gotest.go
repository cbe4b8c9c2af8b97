// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// goTest runs go test with args and gives its summary lines to o, with the whole output of what failed.
func (t *tree) goTest(ctx context.Context, o *output, args ...string) error {
	return t.consume(o, t.command(ctx, "go", append([]string{"test", "-json"}, args...)...))
}

// consume runs a command that prints test2json events.
func (t *tree) consume(o *output, c *exec.Cmd) error {
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr strings.Builder
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		return err
	}
	before := o.tally.failed
	p := newEventReader(o)
	readErr := p.readAll(stdout)
	err = c.Wait()
	if s := strings.TrimSpace(stderr.String()); s != "" && err != nil {
		fmt.Fprintln(o.w, s)
	}
	if err != nil && o.tally.failed == before {
		return errors.Join(fmt.Errorf("%s: %w", strings.Join(c.Args[:min(3, len(c.Args))], " "), err), readErr)
	}
	return readErr
}

// An event is one line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Elapsed    float64
	Output     string
}

// eventReader keeps the output of each test until it is known whether anybody needs it.
type eventReader struct {
	o       *output
	text    map[[2]string]*strings.Builder // by package and test
	parents map[[2]string]bool             // tests that have subtests: they are not counted themselves
}

func newEventReader(o *output) *eventReader {
	return &eventReader{o: o, text: map[[2]string]*strings.Builder{}, parents: map[[2]string]bool{}}
}

func (p *eventReader) readAll(r io.Reader) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e event
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			fmt.Fprintln(p.o.w, s.Text()) // not ours: a program that wrote straight to the pipe
			continue
		}
		p.take(e)
	}
	return s.Err()
}

func (p *eventReader) take(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(p.o.w, e.Output)
	case "run":
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			p.parents[[2]string{e.Package, e.Test[:i]}] = true
		}
	case "output":
		p.output(key, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			p.endPackage(e)
		} else {
			p.endTest(e)
		}
		delete(p.text, key)
	}
}

// specs is ginkgo's last line: its specs are what a suite counts, not the one Go test around them.
var specs = regexp.MustCompile(`(\d+) Passed.*?\| .*?(\d+) Failed`)

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func (p *eventReader) output(key [2]string, line string) {
	if p.text[key] == nil {
		p.text[key] = &strings.Builder{}
	}
	p.text[key].WriteString(line)
	if plain := escapes.ReplaceAllString(line, ""); strings.Contains(plain, " Passed") {
		if m := specs.FindStringSubmatch(plain); m != nil {
			passed, _ := strconv.Atoi(m[1])
			failed, _ := strconv.Atoi(m[2])
			p.o.tally.passed += passed
			p.o.tally.failed += failed
			fmt.Fprintf(p.o.w, "      %s", strings.TrimLeft(plain, " "))
		}
	}
}

func (p *eventReader) endTest(e event) {
	key := [2]string{e.Package, e.Test}
	var text string
	if b := p.text[key]; b != nil {
		text = b.String()
	}
	switch e.Action {
	case "pass":
		if !p.parents[key] {
			p.o.tally.passed++
		}
	case "skip":
		if !p.parents[key] {
			p.o.skip(shortPackage(e.Package)+" "+e.Test, reason(text))
		}
	case "fail":
		if !p.parents[key] {
			p.o.tally.failed++
		}
		fmt.Fprint(p.o.w, text)
	}
}

func (p *eventReader) endPackage(e event) {
	elapsed := time.Duration(e.Elapsed * float64(time.Second)).Round(time.Millisecond)
	switch e.Action {
	case "pass":
		fmt.Fprintf(p.o.w, "ok    %s %s\n", shortPackage(e.Package), elapsed)
	case "fail":
		if b := p.text[[2]string{e.Package, ""}]; b != nil {
			fmt.Fprint(p.o.w, b.String())
		}
		// Tests that were still running when the process died never say "fail".
		for key, b := range p.text {
			if key[0] == e.Package && key[1] != "" {
				fmt.Fprintf(p.o.w, "unfinished: %s\n%s", key[1], b.String())
			}
		}
		fmt.Fprintf(p.o.w, "FAIL  %s %s\n", shortPackage(e.Package), elapsed)
		p.o.tally.failed++
	}
}

// position is what testing writes before the message of t.Skip.
var position = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason finds the message of t.Skip in a test's output.
func reason(text string) string {
	for line := range strings.Lines(text) {
		if position.MatchString(line) {
			return strings.TrimSpace(position.ReplaceAllString(line, ""))
		}
	}
	return "no reason given"
}

func shortPackage(path string) string {
	return strings.TrimPrefix(path, "github.com/sallyport-dev/sallyport/")
}
