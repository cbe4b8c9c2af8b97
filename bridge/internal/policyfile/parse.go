// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Parse reads data as a policy document; name stands in errors. The content is
// walked as a tree of nodes instead of being decoded into a struct: that keeps
// the line of every pattern, sees keys given twice and wrong types before any
// conversion, and expands no alias, so that no document can grow in memory.
func Parse(name string, data []byte) (*File, error) {
	data, err := clean(name, data)
	if err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, empty(name)
	} else if err != nil {
		return nil, syntaxError(name, data, err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, &Error{name, second.Line, "starts a second document; put the whole policy into one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(name, data, err)
	}
	p := parser{name: name}
	p.document(&doc)
	if len(p.problems) > 0 {
		return nil, errors.Join(p.problems...)
	}
	return &p.file, nil
}

// empty is the error for a file without content.
func empty(name string) error {
	return &Error{name, 0, "is empty; write `allow: []` to deny everything"}
}

// parser collects what a document says and everything that is wrong with it.
type parser struct {
	name     string
	file     File
	problems []error
}

func (p *parser) fail(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, &Error{p.name, n.Line, fmt.Sprintf(format, args...)})
}

// source names the place of n.
func (p *parser) source(n *yaml.Node) string { return p.name + ":" + strconv.Itoa(n.Line) }

// document walks the top level.
func (p *parser) document(doc *yaml.Node) {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Tag == "!!null" {
		p.problems = append(p.problems, empty(p.name))
		return
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		p.fail(top, "the policy is %s; write keys such as `allow: [github.com]`", kind(top))
		return
	}
	if len(top.Content) == 0 {
		p.problems = append(p.problems, empty(p.name))
		return
	}
	p.eachKey(top, func(key, value *yaml.Node) {
		switch key.Value {
		case "allow":
			p.file.Allow = p.patterns("allow", value)
		case "deny":
			p.file.Deny = p.patterns("deny", value)
		case "resolve":
			p.resolve(value)
		case "upstream":
			p.upstream(key, value)
		default:
			p.fail(key, "unknown key %q%s", key.Value, meant(key.Value))
		}
	})
}

// eachKey calls f for each pair of a mapping and refuses keys given twice and
// keys that are not plain text.
func (p *parser) eachKey(m *yaml.Node, f func(key, value *yaml.Node)) {
	seen := make(map[string]int)
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			p.fail(key, "a key is %s; write plain text", kind(key))
			continue
		}
		if line, twice := seen[key.Value]; twice {
			p.fail(key, "key %q stands here and in line %d; join the two", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, value)
	}
}

// patterns reads the list under allow or deny.
func (p *parser) patterns(key string, list *yaml.Node) []Pattern {
	if list.Kind != yaml.SequenceNode {
		p.fail(list, "%s is %s; write a list, such as `%s: [github.com]`, or `%s: []` for none", key, kind(list), key, key)
		return nil
	}
	found := make([]Pattern, 0, len(list.Content))
	for _, n := range list.Content {
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
			p.fail(n, "an entry of %s is %s; write a pattern in quotes, such as \"github.com:443\"", key, kind(n))
			continue
		}
		text := strings.TrimSpace(n.Value)
		if text == "" {
			p.fail(n, "an entry of %s is empty; write a pattern or remove it", key)
			continue
		}
		found = append(found, Pattern{text, p.source(n)})
	}
	return found
}

// resolve reads the mapping of names to pinned addresses.
func (p *parser) resolve(m *yaml.Node) {
	if m.Kind != yaml.MappingNode {
		p.fail(m, "resolve is %s; write a mapping, such as `resolve: {db.internal: 10.0.0.7}`", kind(m))
		return
	}
	p.eachKey(m, func(key, value *yaml.Node) {
		entries := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			entries = value.Content
		}
		pin := Pin{Name: key.Value, Source: p.source(key)}
		for _, n := range entries {
			if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
				p.fail(n, "an address for %q is %s; write it in quotes, such as \"10.0.0.7\"", key.Value, kind(n))
				continue
			}
			addr, err := netip.ParseAddr(strings.TrimSpace(n.Value))
			if err != nil || addr.Zone() != "" {
				p.fail(n, "%q, for %q, is not an IP address; write one such as 10.0.0.7 or 2001:db8::7", n.Value, key.Value)
				continue
			}
			pin.Addrs = append(pin.Addrs, addr.Unmap())
		}
		if len(entries) == 0 {
			p.fail(value, "%q has no address; write at least one, or remove it", key.Value)
		}
		p.file.Resolve = append(p.file.Resolve, pin)
	})
}

// kind says in words what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return fmt.Sprintf("an alias (*%s)", n.Value)
	}
	switch n.Tag {
	case "!!null":
		return "empty"
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a truth value"
	case "!!merge":
		return "a merge key"
	}
	return "of the type " + n.Tag
}

// meant proposes the key that was probably meant.
func meant(key string) string {
	switch k := strings.ToLower(key); {
	case strings.HasPrefix(k, "allow"), strings.HasPrefix(k, "permit"):
		return "; did you mean allow?"
	case strings.HasPrefix(k, "den"), strings.HasPrefix(k, "block"):
		return "; did you mean deny?"
	case strings.HasPrefix(k, "resol"), strings.HasPrefix(k, "host"):
		return "; did you mean resolve?"
	case strings.HasPrefix(k, "upstr"), strings.Contains(k, "proxy"), strings.HasPrefix(k, "parent"):
		return "; did you mean upstream?"
	}
	return "; the keys are allow, deny, resolve and upstream"
}

// yamlLine finds the line in the text of an error of the YAML library, which
// has no field for it.
var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: (?:line (\d+): )?`) })

// syntaxError rewrites an error of the YAML library as ours, and adds the hint
// that most such errors in a policy need: a leading * or [ must be quoted.
func syntaxError(name string, data []byte, err error) error {
	text := err.Error()
	line := 0
	if m := yamlLine().FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		line, _ = strconv.Atoi(m[1])
	}
	if at := unquoted(data); at > 0 {
		line = at
		text += "; a pattern that starts with * or [ must stand in quotes, as in \"*.github.com\""
	}
	return &Error{name, line, "is not valid YAML: " + text}
}

// unquotedStar matches a list entry that YAML takes for an alias or a list.
var unquotedStar = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*(?:\w+\s*:\s*)?(?:-\s+|\[\s*|.*,\s*)(?:\*|\[[0-9a-fA-F:.]+\]:)`)
})

// unquoted is the first line with such an entry, or 0.
func unquoted(data []byte) int {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if unquotedStar().Match(line) {
			return number
		}
	}
	return 0
}
