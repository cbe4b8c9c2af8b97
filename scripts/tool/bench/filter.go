// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// filterResult is what the filter does with one number of patterns.
type filterResult struct {
	Patterns      int       `json:"patterns"`
	Load          float64   `json:"load"`            // seconds
	LoadCPU       float64   `json:"load_cpu"`        // seconds of CPU
	PerPattern    float64   `json:"per_pattern"`     // bytes kept, the list itself not counted
	Recent        decisions `json:"recent"`          // the same few thousand names again and again
	Any           decisions `json:"any"`             // names from all over the policy
	MemoryWait    float64   `json:"memory_wait"`     // ns for one access to memory that is in no cache
	Allocations   float64   `json:"allocations"`     // of one decision
	DecisionsPerS float64   `json:"decisions_per_s"` // of the three kinds of Recent in turn, on one core
}

func (r filterResult) size() int { return r.Patterns }

// fields are all figures.
func (r *filterResult) fields() []*float64 {
	return []*float64{&r.Load, &r.LoadCPU, &r.PerPattern, &r.Recent.Name, &r.Recent.Wildcard, &r.Recent.Refused,
		&r.Any.Name, &r.Any.Wildcard, &r.Any.Refused, &r.MemoryWait, &r.Allocations, &r.DecisionsPerS}
}

// decisions are the CPU times, in ns, of decisions about names of three kinds.
type decisions struct {
	Name     float64 `json:"name"`     // that a pattern of their own admits
	Wildcard float64 `json:"wildcard"` // two labels below a wildcard
	Refused  float64 `json:"refused"`  // that nothing admits
}

func (d decisions) mean() float64 { return (d.Name + d.Wildcard + d.Refused) / 3 }

// policyOf makes n distinct patterns as policies have them: names of two to five labels, wildcards, ports, addresses.
func policyOf(n int) []string {
	list := make([]string, n)
	for i := range list {
		switch i % 10 {
		case 0:
			list[i] = fmt.Sprintf("*.zone%d.com", i)
		case 1:
			list[i] = fmt.Sprintf("**.deep%d.example.org:8000-8100", i)
		case 2:
			list[i] = netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}).String() + ":5432"
		case 3:
			list[i] = fmt.Sprintf("host%d.net", i)
		case 4:
			list[i] = fmt.Sprintf("api.host%d.example.co.uk", i)
		default:
			list[i] = fmt.Sprintf("host%d.example.net", i)
		}
	}
	return list
}

// asked are the kinds of names that the filter is asked for; the number of a pattern of policyOf goes in.
var asked = []struct {
	format   string
	last     int // digit of that number
	admitted bool
	of       func(*decisions) *float64
}{
	{"host%d.example.net:443", 5, true, func(d *decisions) *float64 { return &d.Name }},
	{"a.b.deep%d.example.org:8080", 1, true, func(d *decisions) *float64 { return &d.Wildcard }},
	{"nowhere%d.example.net:443", 0, false, func(d *decisions) *float64 { return &d.Refused }},
}

// How many names are asked for: so few that they, and what the filter holds of them, stay in a cache as those of a
// machine's agents do, and so many that they do not. Patterns are drawn at random from all of the policy either way.
const (
	recentNames = 1 << 12
	anyNames    = 1 << 18
)

// playFilter measures one number of patterns, in a process of its own so that memory is what it seems.
func playFilter(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil || n < len(policyOf(10)) {
		return fmt.Errorf("bench: %q is no number of patterns from 10 on", count)
	}
	stop, err := profile()
	if err != nil {
		return err
	}
	list := policyOf(n)
	before := heap()
	began, cpu := time.Now(), cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID)
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: list})
	if err != nil {
		return err
	}
	r := filterResult{Patterns: n, Load: time.Since(began).Seconds(), LoadCPU: (cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID) - cpu) / 1e9}
	r.PerPattern = float64(heap()-before) / float64(n)
	for _, a := range asked {
		names, err := targets(n, anyNames, a.format, a.last)
		if err != nil {
			return err
		}
		var allocated float64
		if *a.of(&r.Recent), allocated, err = timeOf(f, names[:recentNames], a.admitted); err == nil {
			*a.of(&r.Any), _, err = timeOf(f, names, a.admitted)
		}
		if err != nil {
			return err
		}
		r.Allocations = max(r.Allocations, allocated)
	}
	r.DecisionsPerS = 1e9 / r.Recent.mean()
	stop()
	runtime.KeepAlive(list)
	r.MemoryWait = memoryWait()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// targets makes count names from patterns drawn from all n. They stand behind one another in memory, in the order in which they
// are asked for: a proxy has just read the name it asks for, and what is to be waited for is the filter.
func targets(n, count int, format string, last int) ([]proxycore.Target, error) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var text strings.Builder
	ends := make([]int, count)
	for i := range ends {
		fmt.Fprintf(&text, format, r.IntN(n/10)*10+last)
		ends[i] = text.Len()
	}
	list, all, from := make([]proxycore.Target, count), text.String(), 0
	for i, end := range ends {
		t, err := proxycore.ParseTarget(all[from:end])
		if err != nil {
			return nil, err
		}
		list[i], from = t, end
	}
	return list, nil
}

// timeOf gives the CPU time of one decision in ns, the median of some passes, and how often it allocates. CPU time: nothing in a
// decision waits but for memory, and that counts.
func timeOf(f *proxycore.Filter, list []proxycore.Target, admitted bool) (ns, allocated float64, err error) {
	const passes, decided = 15, 1 << 16
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var times []float64
	var before, after runtime.MemStats
	at := 0
	runtime.ReadMemStats(&before)
	for range passes + 1 {
		began := cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)
		for range decided {
			if d := f.Decide(list[at]); d.Allowed != admitted {
				return 0, 0, fmt.Errorf("bench: the filter says %+v of %s", d, list[at])
			}
			if at++; at == len(list) {
				at = 0
			}
		}
		times = append(times, (cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)-began)/decided)
	}
	runtime.ReadMemStats(&after)
	ns, _ = median(times[1:]) // the first pass warms up
	// What the clock and the list of times allocate is next to nothing of a million decisions.
	return ns, float64((after.Mallocs - before.Mallocs) / ((passes + 1) * decided)), nil
}

// cpuTime reads a clock of this process or of this thread, in ns.
func cpuTime(clock int32) float64 {
	var t unix.Timespec
	if unix.ClockGettime(clock, &t) != nil {
		return 0
	}
	return float64(t.Nano())
}

// memoryWait gives the ns of one access to memory that no cache holds: what no table of that size can avoid.
func memoryWait() float64 {
	const lines, steps = 128 << 20 / 64, 1 << 18
	memory := make([][64 / 8]int, lines)
	next := rand.New(rand.NewPCG(1, 1)).Perm(lines)
	for i := range next {
		memory[next[i]][0] = next[(i+1)%lines]
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var times []float64
	at := 0
	for range 5 {
		began := cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)
		for range steps {
			at = memory[at][0]
		}
		times = append(times, (cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)-began)/steps)
	}
	runtime.KeepAlive(at)
	m, _ := median(times)
	return m
}
