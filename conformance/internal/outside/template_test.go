// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package outside

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
)

func TestParse(t *testing.T) {
	t.Parallel()
	values := map[string]string{Listen: "127.0.0.1:1", Allow: "a.example,*.b.example $(x) {deny}", Deny: "no"}
	for _, c := range []struct {
		line string
		want []string
	}{
		{"p --listen={listen} {allow}", []string{"p", "--listen=127.0.0.1:1", "a.example,*.b.example $(x) {deny}"}},
		{`p 'a b' "c d" e\ f '' "$HOME" '{"json": 1}'`, []string{"p", "a b", "c d", "e f", "", "$HOME", `{"json": 1}`}},
		{"s -- {cmd} end", []string{"s", "--", "/bin/x", "-a b", "{deny}", "end"}},
		{"sh -c 'p {listen} | tee log; exit'", []string{"sh", "-c", "p 127.0.0.1:1 | tee log; exit"}},
		{"p # {deny}", []string{"p", "#", "no"}},
	} {
		tpl, err := Parse(c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if got := tpl.expand(values, []string{"/bin/x", "-a b", "{deny}"}); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.line, got, c.want)
		}
	}
	for line, says := range map[string]string{
		"": "empty", "  ": "empty", "p 'x": "quotes", "p > file": "sh -c", "p && q": "sh -c", "p {listn}": "{listn} is no placeholder",
		"p a{cmd}": "one of its own", "p {Listen}": "{Listen} is no placeholder",
	} {
		if _, err := Parse(line); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want an error with %q", line, err, says)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	tpl, err := Parse("p {allowfile} {allow} {head-timeout}")
	if err != nil {
		t.Fatal(err)
	}
	c := conformance.Config{Allow: []string{"a.example", "b.example"}, HeadTimeout: 1, Dir: t.TempDir()}
	v, err := tpl.values(c, false)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(v[AllowFile])
	if err != nil || string(text) != "a.example\nb.example\n" || v[Allow] != "a.example,b.example" || v[HeadTimeout] != "1" {
		t.Errorf("got %q, %v and %q", text, err, v)
	}
	c.Deny = []string{"c.example"}
	if _, err := tpl.values(c, false); err == nil || !strings.Contains(err.Error(), "deny lines") {
		t.Errorf("deny lines without a word for them: %v", err)
	}
	c.Deny, c.Allow = nil, []string{"a,b"}
	if _, err := tpl.values(c, false); err == nil {
		t.Error("a line with a comma in it would have become two")
	}
}

// TestUpstream: what the command line has no word for is refused, and the password is in a file and nowhere else.
func TestUpstream(t *testing.T) {
	t.Parallel()
	const url = "https://gate.example:3129"
	full := conformance.Upstream{URL: url, User: "u", Password: "p:w", CAFile: "/ca.pem"}
	for _, c := range []struct {
		line string
		up   *conformance.Upstream
		says string
	}{
		{"p {allow}", nil, ""},
		{"p {allow} {upstream}", nil, ""},
		{"p {allow}", &conformance.Upstream{URL: url}, "no {upstream}"},
		{"p {upstream}", &conformance.Upstream{}, "without a URL"},
		{"p {upstream}", &conformance.Upstream{URL: url, CAFile: "/ca.pem"}, "no {upstream-ca}"},
		{"p {upstream} {upstream-ca}", &full, "no {upstream-credentials}"},
		{"p {upstream} {upstream-ca} {upstream-credentials}", &conformance.Upstream{URL: url, User: "u\n"}, "line breaks"},
		{"p {upstream} {upstream-ca} {upstream-credentials}", &full, ""},
	} {
		tpl, err := Parse(c.line)
		if err != nil {
			t.Fatal(err)
		}
		v, err := tpl.values(conformance.Config{Dir: t.TempDir(), Upstream: c.up}, false)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s, %+v: %v, want %q", c.line, c.up, err, c.says)
		}
		if err != nil || c.up == nil {
			continue
		}
		text, err := os.ReadFile(v[Login])
		info, _ := os.Stat(v[Login])
		if err != nil || string(text) != "u:p:w\n" || info.Mode() != 0o600 || v[Upstream] != url || v[UpstreamCA] != "/ca.pem" {
			t.Errorf("%s: %q, %v, %v, %v", c.line, text, err, info, v)
		}
	}
}
