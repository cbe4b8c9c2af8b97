// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package printable makes text safe to show on a terminal. What a sandboxed
// program asked for reaches logs and terminals, and a control character or a
// direction mark in it must not act there. Everything but printable ASCII is escaped.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Text returns s with everything but printable ASCII as Go escapes. A
// backslash that stands in s is doubled, so no two inputs look alike.
func Text(s string) string {
	q := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// Pattern returns a pattern, a name or a target that a policy knows, printable: a name beyond
// ASCII is spelled as it is in certificates and logs (xn--…), which no letter can
// feign, where that spelling exists, and else escaped.
func Pattern(s string) string {
	if clean([]byte(s)) {
		return Text(s)
	}
	name := strings.TrimLeft(s, "*.")
	wild := s[:len(s)-len(name)]
	name, port, colon := strings.Cut(name, ":")
	if t, err := proxycore.ParseTarget(name + ":1"); err == nil && t.Host != "" {
		if colon {
			port = ":" + port
		}
		return Text(wild + t.Host + port)
	}
	return Text(s)
}

// JSON rewrites what valid JSON may hold but a terminal might act on (DEL, C1
// controls, direction marks and whatever else is not ASCII) as \u escapes, and
// returns line itself when there is nothing to rewrite. In JSON such
// characters occur inside strings only, so the value stays the same. Control
// characters below the blank are line ends and indentation there, and are kept.
func JSON(line []byte) []byte {
	if clean(line) {
		return line
	}
	out := make([]byte, 0, len(line)+32)
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		line = line[n:]
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

func clean(line []byte) bool {
	for _, b := range line {
		if b >= 0x7f {
			return false
		}
	}
	return true
}
