// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
)

// maxNames bounds the names that one sandbox is told addresses for, which a
// program could make up without end under a wildcard.
const maxNames = 1 << 16

// Where the addresses of names come from. Neither prefix is anybody's on the
// Internet: the first is for benchmarks (RFC 2544 appendix C.2.2), the second is
// a unique local one (RFC 4193) that is the same everywhere, so that it can be
// recognised.
var (
	pool4 = netip.MustParsePrefix("198.18.0.0/15")
	pool6 = netip.MustParsePrefix("fd73:616c:6c79::/48")
)

// namePool gives the names of one sandbox addresses, one of each family. A name
// keeps its addresses as long as the sandbox lives, and they never become
// another's: a program that has stored one cannot end up somewhere else. The zero
// value is an empty pool.
type namePool struct {
	mu    sync.RWMutex // guards the fields below
	index map[string]int
	names []string // by index; canonical
}

// addresses gives the addresses of a canonical name; false when there are none
// left.
func (p *namePool) addresses(name string) (v4, v6 netip.Addr, ok bool) {
	p.mu.RLock()
	i, ok := p.index[name]
	p.mu.RUnlock()
	if !ok {
		if i, ok = p.add(name); !ok {
			return netip.Addr{}, netip.Addr{}, false
		}
	}
	v4, v6 = poolAddresses(i)
	return v4, v6, true
}

// add gives name an index.
func (p *namePool) add(name string) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.index[name]; ok {
		return i, true // somebody else was faster
	}
	if len(p.names) == maxNames {
		return 0, false
	}
	if p.index == nil {
		p.index = make(map[string]int)
	}
	name = strings.Clone(name) // it outlives what it may be a part of
	i := len(p.names)
	p.index[name] = i
	p.names = append(p.names, name)
	return i, true
}

// name gives the name that an address without zone stands for. pooled says that
// the address is one for names; then it is never meant as an address, and name is
// "" when nobody was told it.
func (p *namePool) name(a netip.Addr) (name string, pooled bool) {
	i, pooled := poolIndex(a)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if pooled && 0 <= i && i < len(p.names) {
		name = p.names[i]
	}
	return name, pooled
}

// perBlock is how many of 256 IPv4 addresses are used: all but those that end in
// 0 and 255, which some programs take for a network and a broadcast.
const perBlock = 254

// poolAddresses gives the addresses of an index.
func poolAddresses(i int) (v4, v6 netip.Addr) {
	raw4 := pool4.Addr().As4()
	n := binary.BigEndian.Uint32(raw4[:]) + uint32(i/perBlock)<<8 + uint32(i%perBlock) + 1
	binary.BigEndian.PutUint32(raw4[:], n)
	raw6 := pool6.Addr().As16()
	binary.BigEndian.PutUint32(raw6[12:], uint32(i)+1)
	return netip.AddrFrom4(raw4), netip.AddrFrom16(raw6)
}

// poolIndex is the reverse: the index of an address of the pool, out of range
// where no index has it.
func poolIndex(a netip.Addr) (i int, pooled bool) {
	switch {
	case pool4.Contains(a):
		raw, first := a.As4(), pool4.Addr().As4()
		n := int(binary.BigEndian.Uint32(raw[:]) - binary.BigEndian.Uint32(first[:]))
		if last := n & 0xff; last == 0 || last > perBlock {
			return -1, true
		}
		return n>>8*perBlock + n&0xff - 1, true
	case pool6.Contains(a):
		raw, first := a.As16(), pool6.Addr().As16()
		if [12]byte(raw[:12]) != [12]byte(first[:12]) {
			return -1, true
		}
		return int(binary.BigEndian.Uint32(raw[12:])) - 1, true
	}
	return 0, false
}
