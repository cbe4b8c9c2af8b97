// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// pool gives every name an address of each family, for the life of one sandbox. Its addresses are others than those
// of any proxy that is tested with the suite.
type pool struct {
	s settings

	mu     sync.Mutex
	byName map[string]uint32     // guarded by mu
	byAddr map[netip.Addr]string // guarded by mu
	next   uint32                // guarded by mu
	last   string                // the name asked for last; guarded by mu
}

var (
	pool4 = netip.MustParsePrefix("198.19.0.0/16")
	pool6 = netip.MustParsePrefix("fd72:6566:7072:6f78::/64")
)

// fewAddresses are all there are with the fault AddressesShared.
const fewAddresses = 5

func newPool(s settings) *pool {
	return &pool{s: s, byName: map[string]uint32{}, byAddr: map[netip.Addr]string{}}
}

// addresses are those of the n-th name.
func addresses(n uint32) (netip.Addr, netip.Addr) {
	a4, a6 := pool4.Addr().As4(), pool6.Addr().As16()
	n = 3*n + 2 // what is next to an address is one that nobody was given
	binary.BigEndian.PutUint16(a4[2:], uint16(n))
	binary.BigEndian.PutUint32(a6[12:], n)
	return netip.AddrFrom4(a4), netip.AddrFrom16(a6)
}

func (p *pool) covers(a netip.Addr) bool { return pool4.Contains(a) || pool6.Contains(a) }

// give returns the addresses of a name; ok is false when there are no more.
func (p *pool) give(name string) (a4, a6 netip.Addr, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.s.Faults
	p.last = name
	n, known := p.byName[name]
	if known && f.Has(AddressesChange) {
		a4, a6 := addresses(n)
		delete(p.byAddr, a4)
		delete(p.byAddr, a6)
	}
	if !known || f.Has(AddressesChange) {
		n = p.next
		if p.next++; n > 20000 {
			return a4, a6, false
		}
		if f.Has(AddressesShared) {
			n %= fewAddresses
		}
		p.byName[name] = n
	}
	a4, a6 = addresses(n)
	p.byAddr[a4], p.byAddr[a6] = name, name
	if f.Has(NamesShared) || f.Has(NamesMixed) {
		p.share(a4, a6, name)
	}
	return a4, a6, true
}

// name is the one an address was given out for.
func (p *pool) name(a netip.Addr) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name, ok := p.byAddr[a]
	if !ok && p.s.Faults.Has(LastNameWins) && p.covers(a) {
		return p.last, p.last != ""
	}
	if !ok && p.s.Faults.Has(NamesShared) || ok && p.s.Faults.Has(NamesMixed) {
		return p.shared(a)
	}
	return name, ok
}

// share and shared are the faults NamesShared and NamesMixed: a file next to the door, which all sandboxes of a proxy have in common.
func (p *pool) share(a4, a6 netip.Addr, name string) {
	f, err := os.OpenFile(p.s.Door+".pool", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		fmt.Fprintf(f, "%s %s\n%s %s\n", a4, name, a6, name)
		f.Close()
	}
}

func (p *pool) shared(a netip.Addr) (string, bool) {
	text, _ := os.ReadFile(p.s.Door + ".pool")
	name := ""
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == a.String() {
			name = f[1]
		}
	}
	return name, name != ""
}
