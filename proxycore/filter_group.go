// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/binary"
	"strings"
)

// rule is one pattern with one range of ports.
type rule struct {
	text           string // the pattern as written; it is never empty
	kind           kind
	portLo, portHi uint16
}

// group is the rules of one key, written out as bytes so that all of it stands in
// one place, usually in one or two cache lines, and costs a garbage collector
// nothing: numbers little-endian, in the order
//
//	0       the length of the key (8 bits), the number of rules (24 bits)
//	4       the length of the group (32 bits)
//	8       the key
//	        texts of patterns; that of the first begins at 8 if it begins with the key
//	        each rule (ruleSize), sorted by kind and port, none overlapping
//
// and a rule's
//
//	0       where its text begins (32 bits)
//	4       the text's length (16 bits)
//	6, 8    the first and the last port (16 bits each)
//	10      the kind (8 bits)
//
// There are at most three kinds with as many disjoint ranges as there are ports.
type group string

const (
	groupHead = 8
	ruleSize  = 11
)

// cutGroup takes the first group off the front.
func cutGroup(all string) (g group, rest string) {
	n := little32(all, 4)
	return group(all[:n]), all[n:]
}

// key returns the key of a group that is not empty.
func (g group) key() string { return string(g[groupHead:][:g[0]]) }

// len returns the number of rules, which is 0 in an empty group only.
func (g group) len() int {
	if g == "" {
		return 0
	}
	return int(little32(string(g), 0) >> 8)
}

// at returns the place of a rule.
func (g group) at(i int) string { return string(g[len(g)-(g.len()-i)*ruleSize:]) }

// before reports whether rule i comes before one of that kind and port.
func (g group) before(i int, k kind, port int) bool {
	r := g.at(i)
	return kind(r[10]) < k || kind(r[10]) == k && int(little16(r, 6)) < port
}

// rule returns one rule.
func (g group) rule(i int) rule {
	r := g.at(i)
	return rule{
		text:   string(g[little32(r, 0):][:little16(r, 4)]),
		portLo: little16(r, 6), portHi: little16(r, 8), kind: kind(r[10]),
	}
}

// lowerBound returns the index of the first rule that is not before (k, port).
func (g group) lowerBound(k kind, port int) int {
	lo, hi := 0, g.len()
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if g.before(mid, k, port) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// search looks for a port among the rules of one kind in a group. It does
// nothing once there is a hit.
func (m *match) search(g group, k kind, port uint16) {
	n := g.len()
	if m.hit || n == 0 {
		return
	}
	first, last := 0, 0
	if n > 1 {
		// The first of the kind, and the last that begins at or below port.
		first, last = g.lowerBound(k, 0), g.lowerBound(k, int(port)+1)-1
	}
	if first == n {
		return
	}
	r := g.rule(first)
	if r.kind != k {
		return
	}
	if m.hit = r.portLo == web && (port == 443 || port == 80); !m.hit && last >= first {
		// For web its portHi, 0, never fits.
		at := r
		if last > first {
			at = g.rule(last)
		}
		if at.portLo <= port && port <= at.portHi {
			r, m.hit = at, true
		}
	}
	if m.hit || m.rule == "" {
		m.rule = r.text
	}
}

// groupBuilder writes groups one behind the other.
type groupBuilder struct {
	strings.Builder
	rules []byte
}

// group writes the group of the patterns with these numbers, which have one key.
// It returns the number of its rules.
func (b *groupBuilder) group(patterns []pattern, numbers []uint32) int {
	b.rules = b.rules[:0]
	key := patterns[numbers[0]].key
	texts := groupHead
	if !strings.HasPrefix(patterns[numbers[0]].text, key) {
		texts += len(key)
	}
	end := texts
	for _, number := range numbers {
		p := &patterns[number]
		b.rules = binary.LittleEndian.AppendUint32(b.rules, uint32(end))
		b.rules = binary.LittleEndian.AppendUint16(b.rules, uint16(len(p.text)))
		b.rules = binary.LittleEndian.AppendUint16(b.rules, p.portLo)
		b.rules = binary.LittleEndian.AppendUint16(b.rules, p.portHi)
		b.rules = append(b.rules, byte(p.kind))
		end += len(p.text)
	}
	var head [groupHead]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(numbers))<<8|uint32(len(key)))
	binary.LittleEndian.PutUint32(head[4:], uint32(end+len(b.rules)))
	b.Write(head[:])
	if texts > groupHead {
		b.WriteString(key)
	}
	for _, number := range numbers {
		b.WriteString(patterns[number].text)
	}
	b.Write(b.rules)
	return len(numbers)
}

// stored returns how many bytes a group of this pattern alone takes; with others
// it takes no more.
func (p *pattern) stored() int {
	n := groupHead + len(p.text) + ruleSize
	if !strings.HasPrefix(p.text, p.key) {
		n += len(p.key)
	}
	return n
}

// little16 and little32 read numbers from a string, as encoding/binary does from bytes.
func little16(s string, at int) uint16 { return uint16(s[at]) | uint16(s[at+1])<<8 }

func little32(s string, at int) uint32 {
	return uint32(s[at]) | uint32(s[at+1])<<8 | uint32(s[at+2])<<16 | uint32(s[at+3])<<24
}
