// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package apache

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/rules"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ line, target, ports string }{
		{"a.example", "a.example:443 A.Example.:80", "443 80"},
		{"*.a.example", "b.a.example:443", "443 80"},
		{"a.example:8443", "a.example:8443", "8443-8443"},
		{"a.example:9-11", "a.example:9 a.example:10 a.example:11", "9-11"},
		{"a.example:*", "a.example:1 a.example:65535", "1-65535"},
	} {
		rule, err := rules.Parse(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		text, ports, err := pattern(rule)
		if err != nil || ports != tt.ports {
			t.Errorf("%s: ports %q, %v, want %q", tt.line, ports, err, tt.ports)
		}
		re := regexp.MustCompile(text)
		for target := range strings.FieldsSeq(tt.target) {
			if !re.MatchString(target) {
				t.Errorf("%s does not admit %s", tt.line, target)
			}
		}
		for _, target := range []string{"a.example:22", "axexample:443", "a.example.net:443", "x-a.example:443", "a.example:0443", "a.example:12"} {
			if re.MatchString(target) && !strings.Contains(tt.line, ":*") {
				t.Errorf("%s admits %s", tt.line, target)
			}
		}
	}
}

func TestConfigFileRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []conformance.Config{
		{Allow: []string{"*"}},
		{Allow: []string{"93.184.215.14"}},
		{Allow: []string{"a.example:1000-2000"}},
		{Allow: []string{"a.example\nRequire all granted"}},
		{Allow: []string{"a.example"}, Deny: []string{"b.example"}},
	} {
		if text, err := configFile(c); err == nil {
			t.Errorf("%q is put into a configuration:\n%s", c.Allow, text)
		}
	}
}
