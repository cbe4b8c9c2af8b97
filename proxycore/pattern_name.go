// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// readName parses the host part of a name pattern. tail is what follows it,
// the colon included, for suggestions.
func readName(host, tail string, deny bool) (pattern, *mistake) {
	if host == "*" {
		return pattern{kind: kindDeep}, nil
	}
	p := pattern{kind: kindExact}
	base := host
	if rest, ok := strings.CutPrefix(host, "**."); ok {
		p.kind, base = kindDeep, rest
	} else if rest, ok := strings.CutPrefix(host, "*."); ok {
		p.kind, base = kindOne, rest
	}
	switch {
	case host == "":
		return p, &mistake{problem: "has no host before the port"}
	case base == "":
		return p, &mistake{problem: "has no name below the star"}
	case strings.Contains(base, "*"):
		return p, starMistake(host, tail)
	case base[0] == '.':
		return p, dotMistake(host, tail)
	}
	key, terr := canonicalHost(base)
	if terr != nil {
		return p, nameMistake(terr, host, base, tail, p.kind)
	}
	p.key = key
	if p.kind == kindExact || deny {
		return p, nil
	}
	var wrong *mistake
	p.warning, wrong = guardSuffix(host, tail, key)
	return p, wrong
}

// dotMistake is about a leading dot, which some proxies read as "this name and
// all below it". Here each of the two is written out.
func dotMistake(host, tail string) *mistake {
	rest := strings.TrimLeft(host, "*.")
	if rest == "" {
		return &mistake{problem: "has no name after the dot"}
	}
	if host[0] == '*' {
		return &mistake{problem: "has an empty label (two dots in a row)", instead: []string{"*." + rest + tail}}
	}
	return &mistake{problem: "begins with a dot", instead: []string{rest + tail, "**." + rest + tail}}
}

// starMistake is about a star anywhere but as the first label.
func starMistake(host, tail string) *mistake {
	const whole = "a star is the whole first label: *.NAME admits one label below NAME, **.NAME any number"
	rest := strings.TrimLeft(host, "*.")
	labels := strings.Split(host, ".")
	switch {
	case rest == "" && !strings.Contains(host, "."):
		return &mistake{problem: "has more than one star", instead: []string{"*" + tail}, hint: "it admits every name"}
	case rest == "":
		return &mistake{problem: "has stars and no name", hint: whole}
	case strings.Trim(host, "0123456789.*") == "" && isDigit(host, 0):
		return &mistake{problem: "has a star in an address", instead: []string{starCIDR(labels) + tail}}
	case !strings.Contains(rest, "*") && (host[:2] == "*." || strings.HasPrefix(host, "**.")):
		return &mistake{problem: "has more than one wildcard label", instead: []string{"**." + rest + tail}}
	case !strings.Contains(rest, "*"):
		return &mistake{problem: "has a star that is not a label of its own", instead: []string{rest + tail, "**." + rest + tail}, hint: whole}
	case strings.HasSuffix(host, ".*"):
		name := strings.Trim(host, "*.")
		return &mistake{problem: "has a star in place of the last label",
			hint: "list each name you need, such as " + name + ".com and " + name + ".org"}
	}
	// The star stands inside: propose everything below the part after it.
	after := host[strings.LastIndexByte(host, '*')+1:]
	if _, parent, _ := strings.Cut(after, "."); strings.Contains(parent, ".") {
		return &mistake{problem: "has a star inside", instead: []string{"**." + parent + tail}, hint: "listing each name you need admits less"}
	}
	return &mistake{problem: "has a star inside", hint: whole}
}

// starCIDR returns the prefix that 10.*, 192.168.*.* and the like stand for, or
// a string that is no pattern.
func starCIDR(labels []string) string {
	numbers := make([]string, 0, 4)
	for _, l := range labels {
		if l == "*" {
			break
		}
		numbers = append(numbers, l)
	}
	bits := 8 * len(numbers)
	for len(numbers) < 4 {
		numbers = append(numbers, "0")
	}
	return strings.Join(numbers, ".") + "/" + strconv.Itoa(bits)
}

// nameMistake says why base, the name in host, is no hostname.
func nameMistake(terr *TargetError, host, base, tail string, k kind) *mistake {
	problem, ok := strings.CutPrefix(terr.Problem, "the host ")
	if !ok {
		problem = "is not a hostname: " + problem
	}
	m := &mistake{problem: problem}
	ends := strings.TrimRight(asciiLower(base), ".")
	switch {
	case k != kindExact && numericEnd(ends):
		m.problem = "has a wildcard before a number; a wildcard admits names, never addresses"
		m.hint = "for addresses write a prefix such as 10.0.0.0/8"
	case terr.Reason == AddressNotAllowed:
		mapped, err := hostProfile.ToASCII(ends)
		if addr, ok := legacyIPv4(strings.TrimRight(mapped, ".")); ok && err == nil {
			m.instead = []string{addr.String() + tail}
		}
		m.hint = "programs disagree about other spellings of an address"
	case numericEnd(ends):
		m.hint = "an IPv4 address is four numbers from 0 to 255"
	case strings.Contains(host, ".."):
		for strings.Contains(host, "..") {
			host = strings.ReplaceAll(host, "..", ".")
		}
		m.instead = []string{strings.TrimRight(host, ".") + tail}
	}
	return m
}

// sharedHosts are names below which anyone can have a name, that the public
// suffix list does not have itself but only in parts.
var sharedHosts = map[string]bool{
	"amazonaws.com": true, "amazonaws.com.cn": true, "azure.com": true, "windows.net": true, "core.windows.net": true,
	"cloudapp.azure.com": true, "googleusercontent.com": true, "run.app": true, "cloudflarestorage.com": true,
	"digitaloceanspaces.com": true, "b-cdn.net": true, "fastly.net": true, "akamai.net": true, "compute.amazonaws.com": true,
	// Names made of an address, whichever one likes.
	"sslip.io": true, "nip.io": true, "xip.io": true, "traefik.me": true,
}

// guardSuffix checks what a wildcard stands below. Below a suffix of a domain
// registry (com, co.uk) it is an error: it would admit names of strangers only.
// Below one of the private section of the public suffix list (github.io), or
// another name where anyone can have one, it is a warning: some people do mean it.
func guardSuffix(host, tail, base string) (warning string, wrong *mistake) {
	suffix, icann := publicsuffix.PublicSuffix(base)
	if suffix != base {
		// A rule such as *.kawasaki.jp makes every name below base a suffix.
		below, icannBelow := publicsuffix.PublicSuffix("sallyport-probe." + base)
		if below == base || len(below) < len(base) {
			if !sharedHosts[base] {
				return "", nil
			}
			icannBelow = false
		}
		icann = icannBelow
	}
	if icann {
		return "", &mistake{
			problem: "has a wildcard over the public suffix " + base + ", below which anyone can register a name",
			hint:    "name the domain, such as *.example." + base,
		}
	}
	if suffix == base && !strings.Contains(base, ".") {
		// A single label that is in no list: a private zone such as "internal".
		return "", nil
	}
	return "pattern " + quote(host+tail) + " admits names of strangers: anyone can get a name below " + base + "; write out the names you need", nil
}

// quote renders a pattern for a message: on one line, bounded, controls escaped.
func quote(s string) string {
	const most = 120
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
