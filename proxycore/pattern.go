// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// maxPattern bounds a pattern: a hostname in UTF-8, a wildcard and ports.
const maxPattern = maxRawHost + 32

// pattern is one compiled pattern, before it goes into a table.
type pattern struct {
	text           string // as written, without the blanks around it
	key            string // what a lookup finds it under: a canonical name or addrKey
	kind           kind
	portLo, portHi uint16 // portLo is web for a pattern without ports
	seq            uint32 // position in the list
	prefix         netip.Prefix
	warning        string
}

// mistake is what is wrong with a pattern, and what was probably meant.
type mistake struct {
	problem string
	// instead are spellings to propose, all of them or none: they are proposed
	// only when each is a valid pattern.
	instead []string
	or      bool   // the spellings are alternatives
	hint    string // advice in words, after the spellings or in place of them
}

// defaultHint is the advice when nothing better is known.
const defaultHint = "write a name such as github.com, *.github.com or **.github.com, or an address such as 203.0.113.7 or 10.0.0.0/8"

// parsePattern compiles one pattern of an allow or a deny list.
func parsePattern(raw string, deny bool) (pattern, *PatternError) {
	text := strings.Trim(raw, " \t")
	p, wrong := readPattern(text, deny)
	if wrong == nil {
		p.text = text
		if !deny && p.warning == "" {
			p.warning = p.broadWarning()
		}
		return p, nil
	}
	return pattern{}, &PatternError{Pattern: raw, Problem: wrong.problem, Suggestion: wrong.suggestion(deny)}
}

// suggestion renders the advice of a mistake.
func (m *mistake) suggestion(deny bool) string {
	usable := len(m.instead) > 0
	for _, s := range m.instead {
		if _, wrong := readPattern(s, deny); wrong != nil {
			usable = false
		}
	}
	word := " and "
	if m.or {
		word = " or "
	}
	switch {
	case usable && m.hint != "":
		return "write " + strings.Join(m.instead, word) + "; " + m.hint
	case usable:
		return "write " + strings.Join(m.instead, word)
	case m.hint != "":
		return m.hint
	}
	return defaultHint
}

// readPattern applies the grammar to a trimmed pattern.
func readPattern(text string, deny bool) (pattern, *mistake) {
	if !plainPattern(text) {
		if wrong := screenPattern(text); wrong != nil {
			return pattern{}, wrong
		}
		if text[0] == '[' {
			return readBracketed(text, deny)
		}
		if strings.Contains(text, "/") {
			return readSlashed(text, deny)
		}
	}
	host, ports, written := strings.Cut(text, ":")
	if strings.Contains(ports, ":") {
		return readBareIPv6(text, deny)
	}
	if isDigit(host, len(host)-1) {
		if addr, err := netip.ParseAddr(host); err == nil {
			return addrPattern(netip.PrefixFrom(addr, addr.BitLen()), host, ports, written, deny)
		}
	}
	p, wrong := readName(host, text[len(host):], deny)
	if wrong != nil {
		return pattern{}, wrong
	}
	p.portLo, p.portHi, wrong = readPorts(host, ports, written, deny)
	return p, wrong
}

// plainPattern reports whether text has only the characters of ASCII names,
// wildcards and ports, which is so for nearly every pattern.
func plainPattern(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !hostByte(c) && c != '.' && c != '*' && c != ':' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return text != "" && len(text) <= maxPattern
}

// isDigit reports whether s has a decimal digit at i.
func isDigit(s string, i int) bool { return i >= 0 && '0' <= s[i] && s[i] <= '9' }

// screenPattern finds what belongs to another notation than ours.
func screenPattern(text string) *mistake {
	switch {
	case text == "":
		return &mistake{problem: "is empty", hint: "write a name such as github.com, or remove the entry"}
	case len(text) > maxPattern:
		return &mistake{problem: "is longer than any hostname"}
	case strings.HasPrefix(text, "\uFEFF"):
		return &mistake{problem: "begins with a byte order mark", instead: []string{strings.TrimPrefix(text, "\uFEFF")},
			hint: "save the file as UTF-8 without a byte order mark"}
	case strings.Contains(text, "\r"):
		return &mistake{problem: "has a carriage return", instead: strings.Fields(text),
			hint: "save the file with LF line ends, not CRLF"}
	case strings.Contains(text, "\n"):
		return &mistake{problem: "has a line break", instead: strings.Fields(text), hint: "write one pattern an entry"}
	case !utf8.ValidString(text):
		return &mistake{problem: "is not valid UTF-8"}
	case strings.ContainsFunc(text, invisible):
		return &mistake{problem: "has a control character or an invisible one",
			instead: []string{strings.Map(dropInvisible, text)}}
	case text[0] == '#' || strings.Contains(text, " #"):
		before, _, _ := strings.Cut(text, "#")
		return &mistake{problem: "has a comment in it", instead: strings.Fields(before), hint: "keep comments out of the pattern"}
	case text[0] == '!':
		return &mistake{problem: "begins with an exclamation mark", hint: "put " + quote(text[1:]) + " on the deny list"}
	case strings.ContainsAny(text, `"'`):
		return &mistake{problem: "has quotation marks in it", instead: []string{strings.Trim(text, `"'`)}}
	case strings.ContainsAny(text, ",;"):
		return listMistake(text)
	case strings.ContainsAny(text, " \t"):
		return &mistake{problem: "has a blank in it", instead: strings.Fields(text), hint: "write one pattern an entry"}
	case strings.Contains(text, "://"):
		return &mistake{problem: "is a URL", instead: []string{fromURL(text)}}
	case strings.Contains(text, "@"):
		return userMistake(text)
	case strings.ContainsAny(text, `\^$()|?`):
		return &mistake{problem: "looks like a regular expression or a file glob",
			hint: "write the name, or *.NAME for one label below it, or **.NAME for all names below it"}
	}
	return nil
}

// dropInvisible is for strings.Map.
func dropInvisible(r rune) rune {
	if invisible(r) {
		return -1
	}
	return r
}

// listMistake proposes one pattern for each part of a list: "a.com,b.com" and
// also "a.com:80,443".
func listMistake(text string) *mistake {
	parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",; \t", r) })
	host := ""
	for i, part := range parts {
		if before, _, ok := strings.Cut(part, ":"); ok {
			host = before
		} else if host != "" && strings.Trim(part, "0123456789-") == "" {
			parts[i] = host + ":" + part
		}
	}
	return &mistake{problem: "is a list", instead: parts, hint: "write one pattern an entry"}
}

// schemePorts maps URL schemes and service names to ports.
var schemePorts = map[string]string{
	"http": "80", "https": "443", "ws": "80", "wss": "443", "ssh": "22", "git+ssh": "22", "git": "9418",
	"ftp": "21", "ftps": "990", "smtp": "25", "imaps": "993", "dns": "53", "domain": "53", "ldap": "389", "ldaps": "636",
	"mysql": "3306", "postgres": "5432", "postgresql": "5432", "redis": "6379", "mongodb": "27017",
}

// fromURL returns the pattern for the host of a URL.
func fromURL(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	host := rest[strings.LastIndexByte(rest, '@')+1:]
	port := schemePorts[strings.ToLower(scheme)]
	if port == "" || port == "80" || port == "443" || strings.Contains(strings.TrimLeft(host, "[0123456789abcdef:"), ":") {
		return host
	}
	return host + ":" + port
}

// userMistake is the mistake of a pattern with a user name, in a URL or in the
// git notation user@host:path.
func userMistake(text string) *mistake {
	host := text[strings.LastIndexByte(text, '@')+1:]
	host, _, _ = strings.Cut(host, "/")
	if name, path, ok := strings.Cut(host, ":"); ok && strings.Trim(path, "0123456789-*") != "" {
		host = name + ":22"
	}
	return &mistake{problem: "has a user name in it", instead: []string{host}}
}

// readPorts parses what follows the colon. written is false when there is none.
func readPorts(host, ports string, written, deny bool) (lo, hi uint16, wrong *mistake) {
	switch {
	case !written && deny, written && ports == "*":
		return 1, 65535, nil
	case !written:
		return web, web, nil
	case ports == "":
		return 0, 0, &mistake{problem: "has a colon but no port", instead: []string{host, host + ":*"}, or: true}
	}
	from, to, isRange := strings.Cut(ports, "-")
	lo, problem := parsePort(from)
	hi = lo
	if problem == "" && isRange {
		hi, problem = parsePort(to)
	}
	switch {
	case problem != "":
		return 0, 0, portMistake(host, ports, problem)
	case lo > hi:
		return 0, 0, &mistake{problem: "has a port range that ends before it begins", instead: []string{host + ":" + to + "-" + from}}
	}
	return lo, hi, nil
}

// portMistake proposes what was meant by a port that is none.
func portMistake(host, ports, problem string) *mistake {
	m := &mistake{
		problem: "is wrong after the colon: " + problem,
		hint:    "a port is a number from 1 to 65535, a range such as 8000-8100, or * for every port",
	}
	number := strings.TrimLeft(strings.TrimLeft(ports, "+"), "0")
	if port, ok := schemePorts[strings.ToLower(ports)]; ok {
		number = port
	}
	if number != "" && strings.Trim(number, "0123456789") == "" {
		m.instead = []string{host + ":" + number}
	}
	return m
}

// namesLoopback reports whether the pattern is about this machine's loopback.
func (p *pattern) namesLoopback() bool {
	if p.kind == kindAddr {
		return namesLoopback(p.prefix)
	}
	return isLocalhost(p.key)
}
