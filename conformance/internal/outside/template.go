// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package outside makes backends of command lines: a command that starts a proxy, a proxy that runs already, and a
// command that runs another inside a sandbox. What a command line has no word for its backend refuses or does not
// claim; nothing is enforced by halves.
package outside

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mattn/go-shellwords"
)

// Placeholders of a command line, without their braces.
const (
	Listen      = "listen"               // 127.0.0.1:port
	Addr        = "addr"                 // 127.0.0.1
	Port        = "port"                 // the port alone
	Socket      = "socket"               // path of the unix socket to make
	Allow       = "allow"                // the lines that allow, with commas between them
	Deny        = "deny"                 // the lines that deny, with commas between them
	AllowFile   = "allowfile"            // path of a file with one line each
	DenyFile    = "denyfile"             // path of a file with one line each
	Dir         = "dir"                  // an empty directory for whatever the command needs
	HeadTimeout = "head-timeout"         // whole seconds a client has for its head
	Upstream    = "upstream"             // URL of the proxy to go through, empty for none
	UpstreamCA  = "upstream-ca"          // path of a PEM file with the authority of an https upstream, empty for none
	Login       = "upstream-credentials" // path of a file with user:password in its only line, empty for none
	Cmd         = "cmd"                  // the command to run in the sandbox, a word of its own that becomes several
)

var meanings = map[string]bool{
	Listen: true, Addr: true, Port: true, Socket: true, Allow: true, Deny: true, AllowFile: true, DenyFile: true,
	Dir: true, HeadTimeout: true, Upstream: true, UpstreamCA: true, Login: true, Cmd: true,
}

var placeholder = regexp.MustCompile(`\{[a-zA-Z][a-zA-Z_-]*\}`)

// Template is a command line with placeholders.
type Template struct {
	words []string
	uses  map[string]bool
}

// Parse splits a command line like a shell would, with quotes and without any expansion, and looks at its
// placeholders. A placeholder there is not, or {cmd} inside a word, is an error.
func Parse(line string) (*Template, error) {
	p := shellwords.NewParser()
	p.ParseEnv, p.ParseBacktick, p.ParseComment = false, false, false
	words, err := p.Parse(line)
	if err != nil {
		return nil, fmt.Errorf("outside: the command line %q does not end its quotes: %w", line, err)
	}
	if p.Position != -1 {
		return nil, fmt.Errorf("outside: the command line %q has an operator of the shell in it; quote it, or say sh -c '…'", line)
	}
	if len(words) == 0 {
		return nil, errors.New("outside: the command line is empty")
	}
	t := &Template{words: words, uses: map[string]bool{}}
	for _, w := range words {
		for _, found := range placeholder.FindAllString(w, -1) {
			name := strings.Trim(found, "{}")
			if !meanings[name] {
				return nil, fmt.Errorf("outside: %s is no placeholder; there are {%s}", found,
					strings.Join(slices.Sorted(maps.Keys(meanings)), "} {"))
			}
			if name == Cmd && w != found {
				return nil, fmt.Errorf("outside: {cmd} becomes several words and must be one of its own, not a part of %q", w)
			}
			t.uses[name] = true
		}
	}
	return t, nil
}

// Uses reports whether one of the placeholders is in the command line.
func (t *Template) Uses(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return t.uses[n] })
}

// Program is the first word.
func (t *Template) Program() string { return t.words[0] }

// expand returns the words with values in place of the placeholders. A value is never split, nor looked at again.
func (t *Template) expand(values map[string]string, cmd []string) []string {
	var out []string
	for _, w := range t.words {
		if w == "{"+Cmd+"}" {
			out = append(out, cmd...)
			continue
		}
		out = append(out, placeholder.ReplaceAllStringFunc(w, func(p string) string { return values[strings.Trim(p, "{}")] }))
	}
	return out
}
