// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// manyPatterns returns n distinct allow patterns, names and wildcards with and
// without ports, and some prefixes.
func manyPatterns(n int) []string {
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

// BenchmarkDecide: the same speed at 10 and 1,000,000 patterns, no allocation.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 10_000, 1_000_000} {
		f := mustFilter(b, manyPatterns(n), []string{"**.evil.example", "10.0.0.0/8"})
		for _, target := range []string{
			"host9.example.net:443", "a.zone0.example.com:443", "x.y.z.deep1.example.org:8080",
			"nowhere.example.net:443", "11.0.0.2:5432", "[2001:db8::1]:443",
		} {
			t := mustTarget(b, target)
			b.Run(strconv.Itoa(n)+"/"+target, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f.Decide(t)
				}
			})
		}
	}
}

// spreadTargets returns count targets, in random order, among those that
// manyPatterns(n) is about. They stand behind one another in memory, as a name
// that was just read stands in a cache: what is not in one is the filter.
func spreadTargets(b *testing.B, n, count int, format string, digit int) []Target {
	b.Helper()
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var text strings.Builder
	ends := make([]int, count)
	for i := range ends {
		fmt.Fprintf(&text, format, 10*r.IntN(n/10)+digit)
		ends[i] = text.Len()
	}
	list, all, from := make([]Target, count), text.String(), 0
	for i, end := range ends {
		list[i] = mustTarget(b, all[from:end])
		from = end
	}
	return list
}

// BenchmarkDecideSpread asks for names all over the policy, so that at 1,000,000
// patterns next to nothing that a decision looks at is in a processor's cache.
func BenchmarkDecideSpread(b *testing.B) {
	for _, n := range []int{10, 10_000, 1_000_000} {
		f := mustFilter(b, manyPatterns(n), []string{"**.evil.example", "10.0.0.0/8"})
		for _, kind := range []struct {
			name, format string
			digit        int // the last of the number in the patterns of this kind
			admitted     bool
		}{
			{"name", "host%[1]d.example.net:443", 3, true},
			{"wildcard", "a.b.c.deep%[1]d.example.org:8080", 1, true},
			{"refused", "nowhere%[1]d.example.net:443", 0, false},
		} {
			b.Run(strconv.Itoa(n)+"/"+kind.name, func(b *testing.B) {
				targets := spreadTargets(b, n, 1<<18, kind.format, kind.digit)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if f.Decide(targets[i%len(targets)]).Allowed != kind.admitted {
						b.Fatal(targets[i%len(targets)])
					}
				}
			})
		}
	}
}

// BenchmarkNewFilter reports what a pattern costs to compile and to keep.
func BenchmarkNewFilter(b *testing.B) {
	for _, n := range []int{10, 10_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			list := manyPatterns(n)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var f *Filter
			for b.Loop() {
				f = mustFilter(b, list, nil)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(n), "kept-B/pattern")
			runtime.KeepAlive(f)
			runtime.KeepAlive(list)
		})
	}
}

// BenchmarkParseTarget: a canonical name costs no allocation.
func BenchmarkParseTarget(b *testing.B) {
	for _, authority := range []string{"api.github.com:443", "API.GitHub.com:443", "bücher.example:443", "[2001:db8::1]:443"} {
		b.Run(authority, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseTarget(authority); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestDecideAllocatesNothing keeps the promise of Filter's documentation.
func TestDecideAllocatesNothing(t *testing.T) {
	f := mustFilter(t, manyPatterns(1000), []string{"**.evil.example", "2001:db8::/32"})
	addrs := []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("64:ff9b::808:808")}
	for _, authority := range []string{"host9.example.net:443", "a.b.evil.example:443", "11.0.0.2:5432", "[2002::1]:443", "localhost:1"} {
		target := mustTarget(t, authority)
		if got := testing.AllocsPerRun(100, func() { f.Decide(target); f.DecideAddrs(target, addrs) }); got != 0 {
			t.Errorf("Decide(%s) allocates %v times, want 0", authority, got)
		}
	}
}
