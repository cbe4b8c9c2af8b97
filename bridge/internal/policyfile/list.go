// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package policyfile

import (
	"errors"
	"fmt"
	"strings"
)

// ParseList reads data as a list of patterns, one to a line. Blanks around a
// pattern, empty lines, carriage returns at line ends, a byte order mark and
// everything from a # at the start of a line or behind a blank are skipped. A
// line with two words is an error, and so is a list without any pattern: a
// file that was emptied by accident must not look like a decision.
func ParseList(name string, data []byte) ([]Pattern, error) {
	data, err := clean(name, data)
	if err != nil {
		return nil, err
	}
	var patterns []Pattern
	var problems []error
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		words := strings.Fields(withoutComment(line))
		switch {
		case len(words) == 0:
		case len(words) > 1:
			problems = append(problems, &Error{name, number, fmt.Sprintf("%q is more than one word; write one pattern on each line", strings.Join(words, " "))})
		case strings.HasSuffix(words[0], ","):
			problems = append(problems, &Error{name, number, fmt.Sprintf("%q ends in a comma; write one pattern on each line and no comma", words[0])})
		default:
			patterns = append(patterns, Pattern{words[0], fmt.Sprintf("%s:%d", name, number)})
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(patterns) == 0 {
		return nil, &Error{name, 0, "holds no pattern; write one on each line, or leave the option out to allow nothing"}
	}
	return patterns, nil
}

// withoutComment cuts a line at its comment. A # inside a word belongs to it,
// so that a pasted URL is refused as such and not shortened to a host.
func withoutComment(line string) string {
	for i, r := range line {
		if r == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}
