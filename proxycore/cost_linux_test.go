// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !noepoll

package proxycore

import (
	"fmt"
	"runtime"
	"testing"
)

const (
	// mostAllocations and mostBytes are a little above what one set-up takes of the
	// heap, to the tunnel's end.
	mostAllocations = 24
	mostBytes       = 2600
)

// What a set-up allocates is the same on every machine, and comes back as time in
// the collector. Not parallel: it counts what the process allocates.
func TestAllocationsPerSetUp(t *testing.T) {
	const tunnels = 500
	target, _ := child(t, "origin")
	h, err := BuiltIn{Config: Config{Filter: allowing(t, target)}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	idle := 0
	round := func() (allocations, bytes float64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, end := child(t, "clients", "PROXY="+h.Addr(), "TARGET="+target, fmt.Sprintf("COUNT=%d", tunnels))
		if got != "ready" {
			t.Fatalf("clients: %s", got)
		}
		end()
		if idle > 0 {
			eventually(t, "goroutines after the tunnels", idle, runtime.NumGoroutine)
		}
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / tunnels, float64(after.TotalAlloc-before.TotalAlloc) / tunnels
	}
	round() // what is allocated once
	idle = runtime.NumGoroutine()
	allocations, bytes := round()
	t.Logf("%.1f allocations of %.0f bytes together", allocations, bytes)
	if allocations > mostAllocations || bytes > mostBytes {
		t.Errorf("a set-up takes %.1f allocations of %.0f bytes together, want at most %d of %d", allocations, bytes, mostAllocations, mostBytes)
	}
}
