// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures Sallyport against other proxies: how many tunnels a second, at what cost, how fast they carry
// bytes, what they hold while idle, and what a sandbox adds. ./scripts/bench installs what it needs and runs it.
//
// Everything runs interleaved on one machine in one go, and the results are medians: compare the columns of one run, not
// the figures of two. The generator of the load is this program, too, in processes of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport/bridge"
)

func main() {
	bridge.Init()
	if len(os.Args) > 2 && os.Args[1] == "role" {
		if err := playRole(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	o, err := parseOptions(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if o.render {
		if err := render(o.out, o.readme); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	b := &bench{ctx: ctx, options: o, goproxy: filepath.Join(o.bin, "goproxy"), sallyport: filepath.Join(o.bin, "sallyport"), data: newData()}
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run measures what is wanted and writes it down.
func (b *bench) run() error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if b.tmp, err = os.MkdirTemp("", "sallyport-bench"); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(b.tmp)
	b.data.Machine = thisMachine()
	b.data.Machine.Command = b.command()
	if b.originRun, err = startRole(b.ctx, "origin"); err != nil {
		return err
	}
	defer b.originRun.stop()
	line, err := b.originRun.line()
	if err != nil {
		return err
	}
	if b.target, err = netip.ParseAddrPort(line); err != nil {
		return fmt.Errorf("bench: the origin says %q: %w", line, err)
	}
	if b.wants("setup") || b.wants("streams") {
		b.traffic()
	}
	if b.wants("idle") {
		for _, n := range pick(b.options, idleCounts[:1], idleCounts) {
			b.idle(n)
		}
	}
	if b.wants("start") {
		b.starts()
	}
	b.insides()
	if err := b.ctx.Err(); err != nil {
		return fmt.Errorf("bench: stopped: %w", err)
	}
	b.data.Machine.Took = time.Since(b.data.Machine.When).Round(time.Second).String()
	if err := b.data.write(b.out, b.readme); err != nil {
		return err
	}
	if n := len(b.data.Failed); n > 0 {
		return fmt.Errorf("bench: %d measurements failed: %s", n, strings.Join(b.data.Failed, "; "))
	}
	return nil
}

// traffic measures set-ups and streams.
func (b *bench) traffic() {
	all, stop, err := b.contenders()
	if err != nil {
		b.fail("traffic", err)
		return
	}
	defer stop()
	if b.wants("setup") {
		for _, n := range pick(b.options, []int{32}, []int{1, 32, 256}) {
			b.setUps(all, n)
		}
	}
	if b.wants("streams") {
		for _, direction := range []string{"down", "up"} {
			for _, n := range pick(b.options, []int{4}, []int{1, 4, 64}) {
				b.streams(all, direction, n)
			}
		}
	}
}

// machine is where the figures come from.
type machine struct {
	Command string    `json:"command"`
	When    time.Time `json:"when"`
	Took    string    `json:"took"`
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Kernel  string    `json:"kernel"`
	Go      string    `json:"go"`
	Commit  string    `json:"commit"`
	Load    string    `json:"load"` // load average at the start
	Tools   []string  `json:"tools"`
}

// firstLine gives the first line of what a command prints, "" without one.
func firstLine(name string, args ...string) string {
	text, _ := exec.Command(name, args...).CombinedOutput()
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}
