// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package printable

import (
	"encoding/json"
	"testing"
)

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"github.com:443":          "github.com:443",
		`a"b\c`:                   `a"b\\c`,
		"a\x00\x1b[2J\r\n\t\x7f":  `a\x00\x1b[2J\r\n\t\x7f`,
		"\u0085\u202eb\u00fc\xff": `\u0085\u202eb\u00fc\xff`,
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                   "",
		"*.github.com:22":                    "*.github.com:22",
		"b\u00fccher.de":                     "xn--bcher-kva.de",
		"**.B\u00fccher.de:*":                "**.xn--bcher-kva.de:*",
		"*.b\u00fccher.de:80-90":             "*.xn--bcher-kva.de:80-90",
		"\u0430\u0440\u0440\u04cf\u0435.com": "xn--80ak6aa92e.com",
		"x\u202e.com":                        `x\u202e.com`,
		"b\u00fc cher.de":                    `b\u00fc cher.de`,
		"\u00fc\xff":                         `\u00fc\xff`,
	} {
		if got := Pattern(in); got != want {
			t.Errorf("Pattern(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add("a\x7f\u0085\u202e\U0001f600\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		before, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		after := JSON(before)
		for _, b := range after {
			if b < 0x20 || b >= 0x7f {
				t.Fatalf("JSON(%q) = %q holds byte %#x", before, after, b)
			}
		}
		var was, is string
		if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil || was != is {
			t.Fatalf("JSON(%q) = %q, another value", before, after)
		}
	})
}
