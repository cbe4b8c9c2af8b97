// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package policyfile

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// upstream reads the proxy to go through: a URL, or a mapping with one. No value is
// shown in an error, since each of them may be a URL with a password, in the wrong place or
// not.
func (p *parser) upstream(key, value *yaml.Node) {
	u := &Upstream{Source: p.source(key)}
	before := len(p.problems)
	if value.Kind != yaml.MappingNode {
		u.URL = p.word("upstream", value, "a URL in quotes, such as \"http://proxy.example.com:3128\", or a mapping with url")
	} else {
		p.eachKey(value, func(key, value *yaml.Node) {
			switch key.Value {
			case "url":
				u.URL = p.word("url", value, "a URL in quotes, such as \"http://proxy.example.com:3128\", or env")
			case "credentials":
				u.Credentials = p.word("credentials", value, "the name of a file that holds user:password, or env:NAME")
			case "lookup":
				u.Lookup = p.word("lookup", value, "here or upstream")
			default:
				p.fail(key, "an unknown key under upstream; the keys are url, credentials and lookup")
			}
		})
		if u.URL == "" && len(p.problems) == before {
			p.fail(value, "upstream has no url; write one, such as `url: \"http://proxy.example.com:3128\"`, or remove the key")
		}
	}
	if len(p.problems) == before {
		p.file.Upstream = u
	}
}

// word reads a text that must not be empty.
func (p *parser) word(key string, n *yaml.Node, want string) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		p.fail(n, "%s is %s; write %s", key, kind(n), want)
		return ""
	}
	text := strings.TrimSpace(n.Value)
	if text == "" {
		p.fail(n, "%s is empty; write %s", key, want)
	}
	return text
}
