// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"cmp"
	"errors"
	"hash/maphash"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// kind says which names below its key, or at it, a rule matches. The order is
// the order of rules within one key.
type kind uint8

const (
	kindExact kind = iota // the key itself
	kindOne               // "*.": exactly one label below the key
	kindDeep              // "**.": one or more labels below the key; with the key "" every name
	kindAddr              // the addresses of the prefix that the key encodes
)

// web is the port a rule without written ports carries as its first: it admits
// 443 and 80, which no single range can say. No range begins at port 0.
const web uint16 = 0

// rule is one pattern with one range of ports. At a million rules its size is
// what a filter costs, so the pattern's text and the key live in one string per
// table, and overlap whenever the user wrote the key in canonical form.
type rule struct {
	off            uint32 // of the text in table.text
	textLen        uint16
	keyOff         uint16 // of the key, relative to off
	keyLen         uint8
	kind           kind
	portLo, portHi uint16
}

// group is where the rules of one key stand in table.rules, and some bits of the
// key's hash: a slot with others need not be compared, which would cost a look at
// memory that is in no cache. An empty slot has no rules.
type group struct {
	first uint32
	tagN  uint32 // the tag above, the number of rules in the lower groupBits
	// The key is here, too, so that it and the rules can be fetched at the same time.
	keyAt, keyLen uint32
}

// groupBits are enough for the rules of one key: three kinds with as many disjoint
// ranges as there are ports.
const groupBits = 18

func (g group) len() int { return int(g.tagN & (1<<groupBits - 1)) }

// mayBe reports whether the group's key may have that hash.
func (g group) mayBe(hash uint64) bool { return g.tagN>>groupBits == uint32(hash>>(32+groupBits)) }

// depths is a set of numbers of labels. No name has more than 127.
type depths [2]uint64

func (d *depths) add(n int)      { d[n/64] |= 1 << (n % 64) }
func (d *depths) has(n int) bool { return d[n/64&1]>>(n%64)&1 != 0 }

// labels counts the labels of a canonical name; "" has none.
func labels(name string) int {
	if name == "" {
		return 0
	}
	return strings.Count(name, ".") + 1
}

// table finds the rules for a host or an address in time that depends on the
// number of labels only. It is immutable after fill; the zero table matches
// nothing.
type table struct {
	text  string
	rules []rule  // sorted by key, kind and port
	slots []group // open addressing, a power of two, at most half full
	seed  maphash.Seed
	bits4 uint64           // which prefix lengths IPv4 rules have
	bits6 [3]uint64        // and IPv6 rules
	named [kindAddr]depths // how many labels the keys of each kind have
}

// match is what a table says about one host or address.
type match struct {
	hit     *rule // the rule that matched, or nil
	nearest *rule // a rule for the host with other ports, or nil
}

// fill builds the table from compiled patterns, whose order it changes.
func (t *table) fill(patterns []pattern) error {
	t.seed = maphash.MakeSeed()
	slices.SortFunc(patterns, comparePatterns)
	patterns = disjoint(patterns)
	size, groups := 0, 0
	for i, p := range patterns {
		size += p.stored()
		if i == 0 || p.key != patterns[i-1].key {
			groups++
		}
	}
	if uint64(size) > math.MaxUint32 {
		return errors.New("proxycore: policy: the patterns are longer than 4 GiB together; write fewer, wider ones")
	}
	t.rules = make([]rule, 0, len(patterns))
	t.slots = make([]group, tableSize(groups))
	var text strings.Builder
	text.Grow(size)
	for _, p := range patterns {
		t.rules = append(t.rules, p.rule(&text))
		t.noteBits(p)
	}
	t.text = text.String()
	for i := 0; i < len(t.rules); {
		n := 1
		for i+n < len(t.rules) && patterns[i+n].key == patterns[i].key {
			n++
		}
		t.insert(patterns[i].key, i, n)
		i += n
	}
	return nil
}

// comparePatterns orders by key, kind and port, and then as written, so that of
// two equal patterns the first is the one reported.
func comparePatterns(a, b pattern) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.portLo, b.portLo), cmp.Compare(a.seq, b.seq))
}

// disjoint drops from sorted patterns what an earlier one of the same key and
// kind already covers, so that the ranges of a key can be searched by halves.
func disjoint(sorted []pattern) []pattern {
	kept := sorted[:0]
	for _, p := range sorted {
		if n := len(kept); n > 0 && kept[n-1].key == p.key && kept[n-1].kind == p.kind {
			last := kept[n-1]
			switch {
			case p.portLo == web && last.portLo == web:
				continue
			case last.portLo != web && p.portHi <= last.portHi:
				continue
			case last.portLo != web && p.portLo <= last.portHi:
				p.portLo = last.portHi + 1
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// tableSize returns the number of slots for n keys.
func tableSize(n int) int {
	size := 1
	for size < 2*n {
		size *= 2
	}
	return size
}

// noteBits remembers that a prefix of this length exists, or a name of so many labels.
func (t *table) noteBits(p pattern) {
	if p.kind != kindAddr {
		t.named[p.kind].add(labels(p.key))
		return
	}
	b := p.prefix.Bits()
	if p.prefix.Addr().Is4() {
		t.bits4 |= 1 << b
	} else {
		t.bits6[b/64] |= 1 << (b % 64)
	}
}

// insert adds the group of a key that is not in the table yet.
func (t *table) insert(key string, first, n int) {
	mask := uint64(len(t.slots) - 1)
	hash := maphash.String(t.seed, key)
	i := hash & mask
	for t.slots[i].tagN != 0 {
		i = (i + 1) & mask
	}
	r := &t.rules[first]
	t.slots[i] = group{uint32(first), uint32(hash>>(32+groupBits))<<groupBits | uint32(n), r.off + uint32(r.keyOff), uint32(r.keyLen)}
}

// lookup returns the rules of a key, sorted by kind and port.
func (t *table) lookup(key string) []rule {
	if len(t.rules) == 0 {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	hash := maphash.String(t.seed, key)
	for i := hash & mask; ; i = (i + 1) & mask {
		g := t.slots[i]
		if g.tagN == 0 {
			return nil
		}
		if !g.mayBe(hash) {
			continue
		}
		if t.text[g.keyAt:][:g.keyLen] == key {
			return t.rules[g.first:][:g.len()]
		}
	}
}

// pattern returns the text of a rule as the user wrote it, "" for nil.
func (t *table) pattern(r *rule) string {
	if r == nil {
		return ""
	}
	return t.text[int(r.off) : int(r.off)+int(r.textLen)]
}

// host matches a canonical name. The most specific rule wins: the name itself,
// then its parents one by one, then "*".
func (t *table) host(name string, port uint16) (m match) {
	if len(t.rules) == 0 {
		return m
	}
	rest, left := name, labels(name)
	for depth := 0; ; depth++ {
		if !t.mayName(depth, left-depth) {
			// No rule that could match has so many labels: the table need not be asked.
		} else if rules := t.lookup(rest); rules != nil {
			switch depth {
			case 0:
				m.search(rules, kindExact, port)
			case 1:
				m.search(rules, kindOne, port)
				fallthrough
			default:
				m.search(rules, kindDeep, port)
			}
			if m.hit != nil {
				return m
			}
		}
		if rest == "" {
			return m
		}
		_, rest, _ = strings.Cut(rest, ".")
	}
}

// mayName reports whether some rule that matches names depth labels below its key
// has a key of n labels.
func (t *table) mayName(depth, n int) bool {
	switch depth {
	case 0:
		return t.named[kindExact].has(n)
	case 1:
		return t.named[kindOne].has(n) || t.named[kindDeep].has(n)
	}
	return t.named[kindDeep].has(n)
}

// addr matches an unmapped address against the prefixes of at least minBits
// bits, the longest first.
func (t *table) addr(a netip.Addr, port uint16, minBits int) (m match) {
	for bits := a.BitLen(); bits >= minBits; bits-- {
		if !t.hasBits(a, bits) {
			continue
		}
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		key := addrKey(p)
		if m.search(t.lookup(string(key[:])), kindAddr, port); m.hit != nil {
			return m
		}
	}
	return m
}

// any matches the pattern "*".
func (t *table) any(port uint16) (m match) {
	m.search(t.lookup(""), kindDeep, port)
	return m
}

// hasBits reports whether some rule of a's family has a prefix of this length.
func (t *table) hasBits(a netip.Addr, bits int) bool {
	if a.Is4() {
		return t.bits4>>bits&1 != 0
	}
	return t.bits6[bits/64]>>(bits%64)&1 != 0
}

// addrKey encodes a masked prefix. Its first byte is no hostname character, so
// names and addresses share one table.
func addrKey(p netip.Prefix) (key [18]byte) {
	if p.Addr().Is4() {
		key[0] = 4
	} else {
		key[0] = 6
	}
	key[1] = byte(p.Bits())
	raw := p.Addr().As16()
	copy(key[2:], raw[:])
	return key
}

// search looks for a port among the rules of one kind in a group. It does
// nothing once there is a hit.
func (m *match) search(rules []rule, k kind, port uint16) {
	first := lowerBound(rules, k, 0)
	if m.hit != nil || first == len(rules) || rules[first].kind != k {
		return
	}
	if rules[first].portLo == web && (port == 443 || port == 80) {
		m.hit = &rules[first]
		return
	}
	// The last rule that begins at or below port. For web its portHi, 0, never fits.
	if i := lowerBound(rules, k, int(port)+1) - 1; i >= first && port <= rules[i].portHi {
		m.hit = &rules[i]
		return
	}
	if m.nearest == nil {
		m.nearest = &rules[first]
	}
}

// lowerBound returns the index of the first rule that is not before (k, port).
func lowerBound(rules []rule, k kind, port int) int {
	lo, hi := 0, len(rules)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r := &rules[mid]; r.kind < k || r.kind == k && int(r.portLo) < port {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
