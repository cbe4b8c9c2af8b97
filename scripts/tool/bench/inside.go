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
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// manyResult is what a proxy of its own costs in a process that has many.
type manyResult struct {
	Proxies   int     `json:"proxies"`
	Start     float64 `json:"start"`      // µs each
	Close     float64 `json:"close"`      // µs each
	PerProxy  float64 `json:"per_proxy"`  // bytes of the process's Pss
	LeftBytes float64 `json:"left_bytes"` // Pss after the last was closed, beyond that before the first
	LeftFiles float64 `json:"left_files"` // descriptors, the same
}

func (r manyResult) size() int { return r.Proxies }

// fields are all figures.
func (r *manyResult) fields() []*float64 {
	return []*float64{&r.Start, &r.Close, &r.PerProxy, &r.LeftBytes, &r.LeftFiles}
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
	r.LeftBytes, r.LeftFiles = float64(after.Pss-before.Pss), float64(after.Files-before.Files)
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
