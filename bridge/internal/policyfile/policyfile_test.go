// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package policyfile

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	pin := []Pin{{"db.internal", []netip.Addr{netip.MustParseAddr("10.0.0.7")}, "p:1"}}
	for _, tt := range []struct {
		name, data string
		want       File
	}{
		{"flow", `allow: [a.com, "*.b.com"]`, File{Allow: []Pattern{{"a.com", "p:1"}, {"*.b.com", "p:1"}}}},
		{"block", "allow:\n  - a.com\n  - b.com:22\ndeny:\n  - c.a.com\n", File{
			Allow: []Pattern{{"a.com", "p:2"}, {"b.com:22", "p:3"}}, Deny: []Pattern{{"c.a.com", "p:5"}}}},
		{"explicitly nothing", "allow: []", File{Allow: []Pattern{}}},
		{"CRLF", "allow:\r\n  - a.com\r\n  - b.com\r\n", File{Allow: []Pattern{{"a.com", "p:2"}, {"b.com", "p:3"}}}},
		{"byte order mark", "\xef\xbb\xbfallow: [a.com]\n", File{Allow: []Pattern{{"a.com", "p:1"}}}},
		{"comment", "# ours\nallow: [a.com] # theirs\n", File{Allow: []Pattern{{"a.com", "p:2"}}}},
		{"blanks round a pattern", `allow: [" a.com "]`, File{Allow: []Pattern{{"a.com", "p:1"}}}},
		{"address and network", "allow: [203.0.113.7, 10.0.0.0/8:5432]", File{Allow: []Pattern{{"203.0.113.7", "p:1"}, {"10.0.0.0/8:5432", "p:1"}}}},
		{"resolve, one", "resolve: {db.internal: 10.0.0.7}", File{Resolve: pin}},
		{"resolve, mapped address", `resolve: {db.internal: "::ffff:10.0.0.7"}`, File{Resolve: pin}},
		{"resolve, list", "resolve:\n  a.b: [10.0.0.7, '2001:db8::8']", File{Resolve: []Pin{{"a.b",
			[]netip.Addr{netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("2001:db8::8")}, "p:2"}}}},
		{"upstream", "upstream: http://proxy:3128\n", File{Upstream: &Upstream{URL: "http://proxy:3128", Source: "p:1"}}},
		{"upstream env", "allow: []\nupstream: env\n", File{Allow: []Pattern{}, Upstream: &Upstream{URL: "env", Source: "p:2"}}},
		{"upstream mapping", "upstream:\n  url: ' unix:///run/p.sock '\n  credentials: env:UP\n  lookup: here\n",
			File{Upstream: &Upstream{"unix:///run/p.sock", "env:UP", "here", "p:1"}}},
		{"flow document marker", "---\nallow: [a.com]\n...\n", File{Allow: []Pattern{{"a.com", "p:2"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse("p", []byte(tt.data))
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.data, err)
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("Parse(%q)\n got %+v\nwant %+v", tt.data, *got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, data string
		want       []string // each stands in the error
	}{
		{"nothing", "", []string{"p: is empty", "allow: []"}},
		{"blank", " \n\n", []string{"p: is empty"}},
		{"comment only", "# allow: [a.com]\n", []string{"p: is empty"}},
		{"null document", "~\n", []string{"p: is empty"}},
		{"document marker only", "---\n", []string{"p: is empty"}},
		{"empty mapping", "{}", []string{"p: is empty"}},
		{"text", "github.com", []string{"p:1: the policy is text"}},
		{"list", "- github.com", []string{"p:1: the policy is a list"}},
		{"unknown key", "allow: []\nalow: [a.com]", []string{`p:2: unknown key "alow"`}},
		{"unknown key, meant", "allowedDomains: [a.com]", []string{`p:1: unknown key "allowedDomains"; did you mean allow?`}},
		{"upper case key", "Allow: [a.com]", []string{`p:1: unknown key "Allow"; did you mean allow?`}},
		{"key twice", "allow: [a.com]\ndeny: []\nallow: [b.com]", []string{`p:3: key "allow" stands here and in line 1`}},
		{"null list", "allow:\n", []string{"p:1: allow is empty; write a list", "allow: []"}},
		{"text for list", "allow: github.com", []string{"p:1: allow is text; write a list"}},
		{"mapping for list", "deny: {a: b}", []string{"p:1: deny is a mapping"}},
		{"number in list", "allow:\n - 12", []string{"p:2: an entry of allow is a number"}},
		{"truth value in list", "allow: [yes, true]", []string{"p:1: an entry of allow is a truth value"}},
		{"null in list", "allow: [a.com, ~]", []string{"p:1: an entry of allow is empty"}},
		{"empty text in list", "allow: ['']", []string{"p:1: an entry of allow is empty"}},
		{"pattern read as mapping", "allow:\n - a.com: 22", []string{"p:2: an entry of allow is a mapping"}},
		{"nested list", "allow: [[a.com]]", []string{"p:1: an entry of allow is a list"}},
		{"binary tag", "allow: [!!binary aGk=]", []string{"p:1: an entry of allow is of the type !!binary"}},
		{"alias", "allow: &x [a.com]\ndeny: *x\n", []string{"p:2: deny is an alias (*x)"}},
		{"merge key", "<<: {allow: [a.com]}", []string{"p:1: a key is a merge key"}},
		{"unquoted star", "allow:\n  - a.com\n  - *.github.com\n", []string{"p:3: is not valid YAML", "must stand in quotes"}},
		{"unquoted star alone", "allow: [*]\n", []string{"p:1: is not valid YAML", "must stand in quotes"}},
		{"unquoted address", "allow:\n  - [2001:db8::1]:443\n", []string{"p:2: is not valid YAML", "must stand in quotes"}},
		{"two documents", "allow: []\n---\nallow: ['*']\n", []string{"starts a second document"}},
		{"bad second document", "allow: []\n---\n[\n", []string{"is not valid YAML"}},
		{"tab", "allow:\n\t- a.com\n", []string{"p:2: is not valid YAML"}},
		{"not UTF-8", "allow:\n - a\xff.com\n", []string{"p:2: is not UTF-8"}},
		{"UTF-16", "\xff\xfea\x00", []string{"p:1: is not UTF-8"}},
		{"NUL", "allow: []\n\x00", []string{"p:2: holds a NUL"}},
		{"upstream empty", "upstream:", []string{"p:1: upstream is empty; write a URL"}},
		{"upstream empty text", "upstream: ''", []string{"p:1: upstream is empty; write a URL"}},
		{"upstream list", "upstream: [http://proxy:3128]", []string{"p:1: upstream is a list; write a URL"}},
		{"upstream number", "upstream: 3128", []string{"p:1: upstream is a number"}},
		{"upstream without url", "upstream: {lookup: here}", []string{"p:1: upstream has no url"}},
		{"upstream empty mapping", "upstream: {}", []string{"p:1: upstream has no url"}},
		{"upstream with an empty url", "upstream: {url: ''}", []string{"p:1: url is empty; write a URL"}},
		{"upstream unknown key", "upstream: {url: 'http://p:1', user: x}", []string{"p:1: an unknown key under upstream; the keys are"}},
		{"upstream key twice", "upstream:\n  url: http://p:1\n  url: http://q:1\n", []string{`p:3: key "url" stands here and in line 2`}},
		{"upstream credentials list", "upstream: {url: 'http://p:1', credentials: [a, b]}", []string{"credentials is a list; write the name of a file"}},
		{"upstream lookup truth value", "upstream: {url: 'http://p:1', lookup: true}", []string{"lookup is a truth value; write here or upstream"}},
		{"upstream meant", "proxy: http://p:1", []string{"did you mean upstream?"}},
		{"resolve list", "resolve: [a]", []string{"p:1: resolve is a list"}},
		{"resolve null", "resolve:", []string{"p:1: resolve is empty"}},
		{"resolve no address", "resolve: {a.b: []}", []string{`p:1: "a.b" has no address`}},
		{"resolve bad address", "resolve: {a.b: c.d}", []string{`p:1: "c.d", for "a.b", is not an IP address`}},
		{"resolve zone", "resolve: {a.b: 'fe80::1%eth0'}", []string{"is not an IP address"}},
		{"resolve number", "resolve: {a.b: 10}", []string{"is a number"}},
		{"resolve twice", "resolve:\n  a.b: 10.0.0.1\n  a.b: 10.0.0.2\n", []string{`p:3: key "a.b" stands here and in line 2`}},
		{"everything at once", "alow: []\nallow: x\ndeny: [1]\n", []string{"p:1:", "p:2:", "p:3:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse("p", []byte(tt.data))
			if err == nil {
				t.Fatalf("Parse(%q) = %+v, want an error", tt.data, *got)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Parse(%q): got %q, want it to contain %q", tt.data, err, want)
				}
			}
		})
	}
}

// TestUpstreamIsNotShown: its URL may hold a password, wherever it was put.
func TestUpstreamIsNotShown(t *testing.T) {
	t.Parallel()
	const secret = "http://user:s3cret@proxy:3128"
	for _, data := range []string{
		"upstream: [" + secret + "]", "upstream: {url: ['" + secret + "']}", "upstream: {'" + secret + "': x}",
		"upstream: {url: {'" + secret + "': x}}", "upstream: {url: env, '" + secret + "': x}",
	} {
		if _, err := Parse("p", []byte(data)); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Parse(%q): got %v, want an error without the password", data, err)
		}
	}
	f, err := Parse("p", []byte("upstream: "+secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, f.Upstream) + fmt.Sprintf(format, *f.Upstream); strings.Contains(got, "s3cret") {
			t.Errorf("%s: got %q, want it without the password", format, got)
		}
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, data string
		want       []Pattern
	}{
		{"plain", "a.com\nb.com\n", []Pattern{{"a.com", "l:1"}, {"b.com", "l:2"}}},
		{"CRLF", "a.com\r\n*.b.com\r\n", []Pattern{{"a.com", "l:1"}, {"*.b.com", "l:2"}}},
		{"byte order mark", "\xef\xbb\xbfa.com", []Pattern{{"a.com", "l:1"}}},
		{"comments and blanks", "# head\n\n  a.com\t# why\n\t# tail", []Pattern{{"a.com", "l:3"}}},
		{"hash inside a word stays", "a.com#x\n", []Pattern{{"a.com#x", "l:1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseList("l", []byte(tt.data))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ParseList(%q) = %v, %v, want %v", tt.data, got, err, tt.want)
			}
		})
	}
}

func TestParseListRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, want string }{
		{"nothing", "", "l: holds no pattern"},
		{"comments only", "# a.com\r\n", "l: holds no pattern"},
		{"two words", "a.com\na.com b.com\n", `l:2: "a.com b.com" is more than one word`},
		{"commas", "a.com,\nb.com\n", `l:1: "a.com," ends in a comma`},
		{"NUL", "a.com\nb\x00.com", "l:2: holds a NUL"},
		{"not UTF-8", "a.com\nb\xc3.com", "l:2: is not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := ParseList("l", []byte(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseList(%q) = %v, %v, want an error with %q", tt.data, got, err, tt.want)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml")); err == nil || !os.IsNotExist(unwrapAll(err)) || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("Load of a missing file: got %v, want an error that names it", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Load of a directory: got %v, want an error that names it", err)
	}
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, MaxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadList(huge); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("LoadList of a huge file: got %v, want an error about its size", err)
	}
}

// unwrapAll returns the innermost error.
func unwrapAll(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

// FuzzPolicyFile checks that no input makes a reader panic, and that what a
// reader accepts is fit to be compiled: no empty, blank or padded pattern, no
// carriage return in one, a source for each.
func FuzzPolicyFile(f *testing.F) {
	for _, seed := range []string{"", "allow: [a.com]", "allow:\r\n- a\r\n", "\xef\xbb\xbfresolve: {a: [::1]}", "a: &a [*a]", "{allow: [*]}", "a.com # x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(patterns []Pattern) {
			for _, p := range patterns {
				if p.Text == "" || p.Text != strings.TrimSpace(p.Text) || !strings.HasPrefix(p.Source, "f:") {
					t.Errorf("accepted %+v from %q", p, data)
				}
			}
		}
		if got, err := Parse("f", data); err == nil {
			check(got.Allow)
			check(got.Deny)
			if got.Upstream != nil && (got.Upstream.URL == "" || got.Upstream.Source == "") {
				t.Errorf("accepted an upstream without a URL or a place from %q", data)
			}
			for _, pin := range got.Resolve {
				if len(pin.Addrs) == 0 {
					t.Errorf("accepted %+v from %q", pin, data)
				}
			}
		}
		if got, err := ParseList("f", data); err == nil {
			check(got)
			if len(got) == 0 {
				t.Errorf("accepted an empty list from %q", data)
			}
		}
	})
}
