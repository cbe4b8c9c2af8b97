// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// filterResult is what the filter does with one number of patterns.
type filterResult struct {
	Patterns      int     `json:"patterns"`
	Load          float64 `json:"load"`            // seconds
	PerPattern    float64 `json:"per_pattern"`     // bytes kept, the list itself not counted
	Hit           float64 `json:"hit"`             // ns for a name that a pattern of its own admits
	Below         float64 `json:"below"`           // ns for a name three labels below a wildcard
	Miss          float64 `json:"miss"`            // ns for a name that nothing admits
	Allocations   int64   `json:"allocations"`     // of one decision, the three kinds together
	DecisionsPerS float64 `json:"decisions_per_s"` // of the three kinds in turn, on one core
}

// policyOf makes n distinct patterns as policies have them: mostly names, some wildcards, ports and addresses.
func policyOf(n int) []string {
	list := make([]string, n)
	for i := range list {
		switch i % 10 {
		case 0:
			list[i] = fmt.Sprintf("*.zone%d.example.com", i)
		case 1:
			list[i] = fmt.Sprintf("**.deep%d.example.org:8000-8100", i)
		case 2:
			list[i] = netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}).String() + ":5432"
		default:
			list[i] = fmt.Sprintf("host%d.example.net", i)
		}
	}
	return list
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// playFilter measures one number of patterns, in a process of its own so that memory is what it seems.
func playFilter(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	stop, err := profile()
	if err != nil {
		return err
	}
	list := policyOf(n)
	before := heap()
	began := time.Now()
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: list})
	if err != nil {
		return err
	}
	r := filterResult{Patterns: n, Load: time.Since(began).Seconds()}
	r.PerPattern = float64(heap()-before) / float64(n)
	// The names are spread over the whole list: one name asked again and again would only show the processor's cache.
	const names = 1 << 12
	kinds := [3][]proxycore.Target{}
	for i := range names {
		j := i * (n / 10) / names * 10
		for k, name := range []string{fmt.Sprintf("host%d.example.net:443", j+3), fmt.Sprintf("a.b.c.deep%d.example.org:8080", j+1), fmt.Sprintf("nowhere%d.example.net:443", j)} {
			t, err := proxycore.ParseTarget(name)
			if err != nil {
				return err
			}
			if d := f.Decide(t); d.Allowed != (k < 2) {
				return fmt.Errorf("bench: the filter says %+v of %s", d, name)
			}
			kinds[k] = append(kinds[k], t)
		}
	}
	sum := 0.0
	for k, ns := range []*float64{&r.Hit, &r.Below, &r.Miss} {
		b := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.Decide(kinds[k][i%names])
			}
		})
		*ns = float64(b.T.Nanoseconds()) / float64(b.N)
		r.Allocations += b.AllocsPerOp()
		sum += *ns
	}
	r.DecisionsPerS = 3e9 / sum
	stop()
	runtime.KeepAlive(list)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// manyResult is what a proxy of its own costs in a process that has many.
type manyResult struct {
	Proxies   int     `json:"proxies"`
	Start     float64 `json:"start"`      // µs each
	Close     float64 `json:"close"`      // µs each
	PerProxy  float64 `json:"per_proxy"`  // bytes of the process's Pss
	LeftBytes int64   `json:"left_bytes"` // Pss after the last was closed, beyond that before the first
	LeftFiles int     `json:"left_files"` // descriptors, the same
}

// playMany starts and closes many proxies, each with a port and a policy of its own.
func playMany(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	stop, err := profile()
	if err != nil {
		return err
	}
	one := func(i int) (*proxycore.Handle, error) {
		f, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{fmt.Sprintf("agent%d.example.com", i), "github.com", "*.github.com"}})
		if err != nil {
			return nil, err
		}
		// Each has a loopback address of its own, as each sandbox has. With one for all, most of the time would go to
		// the kernel's search for a port of 127.0.0.1 that is free.
		addr := netip.AddrFrom4([4]byte{127, 1 + byte(i>>16), byte(i >> 8), byte(i)}).String()
		return proxycore.BuiltIn{Config: proxycore.Config{Filter: f, MaxConns: 100}, Addr: addr}.Start(context.Background())
	}
	// One first, for what the process needs once.
	if h, err := one(0); err != nil || h.Close() != nil {
		return fmt.Errorf("bench: the first proxy: %w", err)
	}
	handles := make([]*proxycore.Handle, n)
	debug.FreeOSMemory()
	before, err := processUsage(os.Getpid())
	if err != nil {
		return err
	}
	began := time.Now()
	for i := range handles {
		if handles[i], err = one(i); err != nil {
			return err
		}
	}
	r := manyResult{Proxies: n, Start: float64(time.Since(began).Microseconds()) / float64(n)}
	debug.FreeOSMemory()
	idle, err := processUsage(os.Getpid())
	if err != nil {
		return err
	}
	r.PerProxy = float64(idle.Pss-before.Pss) / float64(n)
	began = time.Now()
	for _, h := range handles {
		if err := h.Close(); err != nil {
			return err
		}
	}
	r.Close = float64(time.Since(began).Microseconds()) / float64(n)
	stop()
	clear(handles)
	debug.FreeOSMemory()
	after, err := processUsage(os.Getpid())
	if err != nil {
		return err
	}
	r.LeftBytes, r.LeftFiles = after.Pss-before.Pss, after.Files-before.Files
	runtime.KeepAlive(handles)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// profile writes a CPU profile of this role into the directory that BENCH_PROFILE names, if it does.
func profile() (stop func(), err error) {
	dir := os.Getenv("BENCH_PROFILE")
	if dir == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(dir, os.Args[2]+"-"+strconv.Itoa(os.Getpid())+".prof"))
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	w := bufio.NewWriter(f)
	if err := pprof.StartCPUProfile(w); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		w.Flush()
		f.Close()
	}, nil
}
