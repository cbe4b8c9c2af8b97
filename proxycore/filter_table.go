// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"cmp"
	"errors"
	"hash/maphash"
	"math"
	"math/bits"
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
//
// With a million keys next to nothing of it is in a cache, and what a decision
// costs is how often it has to wait for memory before it knows where to look
// next. Here that is twice, and once for a key that is not there: a word of the
// index, of which there is one for a few keys so that most of the index stays in
// a cache, says where the groups of those keys begin; and a [group] is in one
// place with its key, its rules and the texts of its patterns.
//
// The hash is that of Go's own maps, under a seed that each table draws for
// itself. Neither who writes the patterns nor who asks for names learns the seed,
// so neither can choose keys that share a word. Equal hashes cost time and nothing
// else: a group is used only after its whole key was compared.
type table struct {
	index []word
	arena string // the groups, in the order of the index
	count int    // rules
	seed  maphash.Seed
	bits4 uint64           // which prefix lengths IPv4 rules have
	bits6 [3]uint64        // and IPv6 rules
	named [kindAddr]depths // how many labels the keys of each kind have
}

// word is one entry of table.index. Its upper half says where the groups of its
// keys begin in the arena; they end where those of the next word begin. Each of
// its keys sets one bit of the lower half.
type word uint64

// keysPerWord is how many keys share a word of the index on average. With more of
// them the index is smaller, and more of the names that are not there find the
// bit of another.
const keysPerWord = 2

func (w word) begin() uint32 { return uint32(w >> 32) }

// mayHold reports whether one of the word's keys may have that hash.
func (w word) mayHold(hash uint64) bool { return w&keyBit(hash) != 0 }

// keyBit comes from the low end of the hash, as the place in the index comes from
// the high one.
func keyBit(hash uint64) word { return 1 << (hash & 31) }

// place returns where the word of a hash is. The last word is nobody's: it says
// where the groups end.
func (t *table) place(hash uint64) int {
	hi, _ := bits.Mul64(hash, uint64(len(t.index)-1))
	return int(hi)
}

// match is what a table says about one host or address.
type match struct {
	// rule is the text of the rule that matched or, without a hit, of one for the
	// host with other ports; "" if there is neither.
	rule  string
	hit   bool
	exact bool // the hit is a rule for that very name
	named bool // the hit is not the rule of "*"
}

// fill builds the table from compiled patterns, whose order it changes.
func (t *table) fill(patterns []pattern) error {
	if len(patterns) == 0 {
		return nil
	}
	t.seed = maphash.MakeSeed()
	t.index = make([]word, (len(patterns)+keysPerWord-1)/keysPerWord+1)
	size := 0
	for i := range patterns {
		size += patterns[i].stored()
		t.note(&patterns[i])
	}
	if uint64(size) > math.MaxUint32 {
		return errors.New("proxycore: policy: the patterns are longer than 4 GiB together; write fewer, wider ones")
	}
	var b groupBuilder
	b.Grow(size)
	order, ends := t.sort(patterns)
	from := uint32(0)
	for i, end := range ends {
		t.index[i] |= word(b.Len()) << 32
		t.add(&b, patterns, order[from:end])
		from = end
	}
	t.index[len(ends)] = word(b.Len()) << 32
	t.arena = b.String()
	return nil
}

// sort returns the patterns' numbers in the order of their words in the index, and
// where in it those of each word end. It sets the bits of the keys.
func (t *table) sort(patterns []pattern) (order, ends []uint32) {
	places := make([]uint32, len(patterns))
	ends = make([]uint32, len(t.index)-1)
	for i := range patterns {
		hash := maphash.String(t.seed, patterns[i].key)
		at := t.place(hash)
		t.index[at] |= keyBit(hash)
		places[i] = uint32(at)
		ends[at]++
	}
	sum := uint32(0)
	for i, n := range ends {
		ends[i] = sum // where they begin, until they are placed
		sum += n
	}
	order = make([]uint32, len(patterns))
	for i, at := range places {
		order[ends[at]] = uint32(i)
		ends[at]++
	}
	return order, ends
}

// add writes the groups of one word, whose patterns are those with the numbers.
func (t *table) add(b *groupBuilder, patterns []pattern, numbers []uint32) {
	if len(numbers) > 1 {
		slices.SortFunc(numbers, func(i, j uint32) int { return comparePatterns(&patterns[i], &patterns[j]) })
	}
	for len(numbers) > 0 {
		n := 1
		for n < len(numbers) && patterns[numbers[n]].key == patterns[numbers[0]].key {
			n++
		}
		t.count += b.group(patterns, disjoint(patterns, numbers[:n]))
		numbers = numbers[n:]
	}
}

// comparePatterns orders by key, kind and port, and then as written, so that of
// two equal patterns the first is the one reported.
func comparePatterns(a, b *pattern) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.portLo, b.portLo), cmp.Compare(a.seq, b.seq))
}

// disjoint drops, from the numbers of sorted patterns of one key, those that an
// earlier one of the same kind already covers, and has the rest begin behind it,
// so that the ranges of a key can be searched by halves.
func disjoint(patterns []pattern, sorted []uint32) []uint32 {
	kept := sorted[:0]
	for _, number := range sorted {
		p := &patterns[number]
		if n := len(kept); n > 0 && patterns[kept[n-1]].kind == p.kind {
			last := &patterns[kept[n-1]]
			switch {
			case p.portLo == web && last.portLo == web:
				continue
			case last.portLo != web && p.portHi <= last.portHi:
				continue
			case last.portLo != web && p.portLo <= last.portHi:
				p.portLo = last.portHi + 1
			}
		}
		kept = append(kept, number)
	}
	return kept
}

// note remembers that a prefix of this length exists, or a name of so many labels.
func (t *table) note(p *pattern) {
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

// lookup returns the rules of a key, an empty group if there is none. The table
// has at least one rule.
func (t *table) lookup(key string) group {
	hash := maphash.String(t.seed, key)
	i := t.place(hash)
	w := t.index[i]
	if !w.mayHold(hash) {
		return ""
	}
	for all := t.arena[w.begin():t.index[i+1].begin()]; all != ""; {
		g, rest := cutGroup(all)
		if g.key() == key {
			return g
		}
		all = rest
	}
	return ""
}

// host matches a canonical name of so many labels. The most specific rule wins:
// the name itself, then its parents one by one, then "*".
func (t *table) host(name string, labels int, port uint16) (m match) {
	if t.count == 0 {
		return m
	}
	rest := name
	for depth := 0; ; depth++ {
		if !t.mayName(depth, labels-depth) {
			// No rule that could match has so many labels: the table need not be asked.
		} else if g := t.lookup(rest); g != "" {
			switch depth {
			case 0:
				m.search(g, kindExact, port)
			case 1:
				m.search(g, kindOne, port)
				fallthrough
			default:
				m.search(g, kindDeep, port)
			}
			if m.hit {
				m.exact, m.named = depth == 0, rest != ""
				return m
			}
		}
		if rest == "" {
			return m
		}
		rest = parent(rest)
	}
}

// parent returns a name without its first label. Labels are short: a call of
// [strings.Cut] takes longer than most of these loops.
func parent(name string) string {
	for i := range len(name) {
		if name[i] == '.' {
			return name[i+1:]
		}
	}
	return ""
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
	if t.count == 0 {
		return m
	}
	for bits := a.BitLen(); bits >= minBits; bits-- {
		if !t.hasBits(a, bits) {
			continue
		}
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		key := addrKey(p)
		if m.search(t.lookup(string(key[:])), kindAddr, port); m.hit {
			return m
		}
	}
	return m
}

// any matches the pattern "*".
func (t *table) any(port uint16) (m match) {
	if t.mayName(1, 0) {
		m.search(t.lookup(""), kindDeep, port)
	}
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
