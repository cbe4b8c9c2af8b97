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
	quick := flag.Bool("quick", false, "about a minute instead of half an hour: fewer rounds, shorter ones, fewer proxies")
	only := flag.String("only", "", "parts to measure, separated by commas: setup,streams,idle,start,filter,many")
	repeat := flag.Int("rounds", 0, "rounds of set-ups and streams; 0 leaves it to -quick")
	out := flag.String("out", "", "directory for the results; nothing but the table on standard output if empty")
	peers := flag.String("proxies", "", "proxies to measure, separated by commas; all if empty")
	bin := flag.String("bin", "", "directory with the programs goproxy and sallyport")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	b := &bench{ctx: ctx, quick: *quick, repeat: *repeat, goproxy: filepath.Join(*bin, "goproxy"), sallyport: filepath.Join(*bin, "sallyport"),
		data: &data{Values: map[string]map[string][]float64{}}}
	if *only != "" {
		b.only = strings.Split(*only, ",")
	}
	if *peers != "" {
		keepKinds(strings.Split(*peers, ","))
	}
	if err := b.run(*out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// keepKinds leaves only the named proxies.
func keepKinds(names []string) {
	kept := kinds[:0]
	for _, k := range kinds {
		for _, name := range names {
			if k.name == name {
				kept = append(kept, k)
			}
		}
	}
	kinds = kept
}

// run measures what is wanted and writes it down.
func (b *bench) run(out string) error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if b.tmp, err = os.MkdirTemp("", "sallyport-bench"); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(b.tmp)
	b.data.Machine = thisMachine()
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
		for _, n := range pick(b, []int{1000}, []int{1000, 3000, 9500}) {
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
	return b.data.write(out, b.quick)
}

// traffic measures set-ups and streams.
func (b *bench) traffic() {
	all, stop, err := b.contenders()
	if err != nil {
		b.skip("traffic", err)
		return
	}
	defer stop()
	if b.wants("setup") {
		for _, n := range pick(b, []int{32}, []int{1, 32, 256}) {
			b.setUps(all, n)
		}
	}
	if b.wants("streams") {
		for _, direction := range []string{"down", "up"} {
			for _, n := range pick(b, []int{4}, []int{1, 4, 64}) {
				b.streams(all, direction, n)
			}
		}
	}
}

// machine is where the figures come from.
type machine struct {
	When   time.Time `json:"when"`
	Took   string    `json:"took"`
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	Kernel string    `json:"kernel"`
	Go     string    `json:"go"`
	Commit string    `json:"commit"`
	Load   string    `json:"load"` // load average at the start
	Tools  []string  `json:"tools"`
}

// firstLine gives the first line of what a command prints, "" without one.
func firstLine(name string, args ...string) string {
	text, _ := exec.Command(name, args...).CombinedOutput()
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}
