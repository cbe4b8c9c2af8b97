// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"time"
)

// starts measures how long commands take from their start to their end, and what CPU they and their
// children take.
func (b *bench) starts() {
	once := []string{b.self, "role", "client", "-kind", "once", "-target", b.target.String()}
	allow := "--allow=" + b.target.String()
	commands := map[string][]string{
		"true: bwrap":       {"bwrap", "--dev-bind", "/", "/", "--unshare-net", "true"},
		"true: run bwrap":   {b.sallyport, "run", "--sandbox", "bwrap", "--", "true"},
		"true: run userns":  {b.sallyport, "run", "--sandbox", "userns", "--", "true"},
		"byte: bwrap":       append([]string{"bwrap", "--dev-bind", "/", "/"}, append(once, "-proxy", b.target.String())...),
		"byte: run bwrap":   append([]string{b.sallyport, "run", allow, "--sandbox", "bwrap", "--"}, append(once, "-connect", "-proxy", "env")...),
		"byte: run userns":  append([]string{b.sallyport, "run", allow, "--sandbox", "userns", "--"}, append(once, "-connect", "-proxy", "env")...),
		"byte: no sandbox":  append(once, "-proxy", b.target.String()),
		"true: no sandbox":  {"true"},
		"true: bwrap, full": {"bwrap", "--dev-bind", "/", "/", "--unshare-net", "--unshare-pid", "--unshare-user", "--proc", "/proc", "true"},
	}
	names := slices.Sorted(maps.Keys(commands))
	broken := map[string]bool{}
	for i := range pick(b.options, 5, 50) + 2 {
		for _, name := range names {
			if broken[name] || b.ctx.Err() != nil {
				continue
			}
			cmd := exec.CommandContext(b.ctx, commands[name][0], commands[name][1:]...)
			cmd.Stderr = os.Stderr
			began := time.Now()
			if err := cmd.Run(); err != nil {
				broken[name] = true
				b.fail(name, err)
				continue
			}
			took, cpu := time.Since(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
			if i >= 2 { // the first ones read the files
				b.data.add("start ms", name, float64(took.Microseconds())/1000)
				b.data.add("start CPU ms", name, float64(cpu.Microseconds())/1000)
			}
		}
	}
}
