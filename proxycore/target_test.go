// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"strings"
	"testing"
)

// TestParseTarget has the HM, IP and PT cases that are about reading a target.
// want is its canonical form; the empty one means an error.
func TestParseTarget(t *testing.T) {
	t.Parallel()
	const bad, legacy = MalformedRequest, AddressNotAllowed
	long63 := strings.Repeat("a", 63)
	tests := []struct {
		id, authority, want string
		reason              Reason
	}{
		{"HM-01", "GitHub.COM:443", "github.com:443", ""},
		{"HM-03", "github.com.:443", "github.com:443", ""},
		{"HM-05", "api.example.com..:443", "", bad},
		{"HM-05", "127.0.0.1..:443", "", bad},
		{"HM-06", "LOCALHOST.:80", "localhost:80", ""},
		{"HM-11", ".github.com:443", "", bad},
		{"HM-12", "a..github.com:443", "", bad},
		{"HM-13", "*.github.com:443", "", bad},
		{"HM-13", "*:443", "", bad},
		{"HM-14", "attacker.com\x00.github.com:443", "", bad},
		{"HM-15", "github.com\r\n:443", "", bad},
		{"HM-15", "git\thub.com:443", "", bad},
		{"HM-15", "git\x01hub.com:443", "", bad},
		{"HM-15", "github.com\x7f:443", "", bad},
		{"HM-16", "%67ithub.com:443", "", bad},
		{"HM-16", "evil.com%2egithub.com:443", "", bad},
		{"HM-16", "evil.com%00.github.com:443", "", bad},
		{"HM-17", "github.com@evil.com:443", "", bad},
		{"HM-17", "github.com:443@evil.com:443", "", bad},
		{"HM-19", "[evil.com]:443", "", bad},
		{"HM-19", "[[evil.com]]:443", "", bad},
		{"HM-20", "[::1:443", "", bad},
		{"HM-20", "::1]:443", "", bad},
		{"HM-20", "[]:443", "", bad},
		{"HM-20", "[:443", "", bad},
		{"HM-20", "[::1]x:443", "", bad},
		{"HM-21", "evil.com/.github.com:443", "", bad},
		{"HM-21", `evil.com\.github.com:443`, "", bad},
		{"HM-21", "evil.com#.github.com:443", "", bad},
		{"HM-21", "evil.com?x=.github.com:443", "", bad},
		{"HM-22", "github.com:80:443", "", bad},
		{"HM-22", "evil.com:443:github.com:443", "", bad},
		{"HM-23", "BÜCHER.example:443", "xn--bcher-kva.example:443", ""},
		{"HM-23", "XN--BCHER-KVA.example:443", "xn--bcher-kva.example:443", ""},
		{"HM-24", "gіthub.com:443", "xn--gthub-n2e.com:443", ""},
		{"HM-25", "github。com:443", "github.com:443", ""},
		{"HM-25", "github．com｡:443", "github.com:443", ""},
		{"HM-26", "xn--:443", "", bad},
		{"HM-26", "xn--.com:443", "", bad},
		{"HM-26", "xn--a:443", "", bad},
		{"HM-26", "xn--\xff:443", "", bad},
		{"HM-26", "xn--github-.com:443", "", bad},
		{"HM-27", "ｇithub.com:443", "github.com:443", ""},
		{"HM-27", "\u212Aelvin.com:443", "kelvin.com:443", ""},
		{"HM-27", "straße.de:443", "xn--strae-oqa.de:443", ""},
		{"HM-28", "git\u00adhub.com:443", "", bad},
		{"HM-28", "git\u200dhub.com:443", "", bad},
		{"HM-28", "\ufeffgithub.com:443", "", bad},
		{"HM-28", "github.com\u202e:443", "", bad},
		{"HM-28", "xn--11b2ezcw70k:443", "", bad}, // a joiner that IDNA permits
		{"HM-28", "github\ufe0f.com:443", "", bad},
		{"HM-29", "github\xff.com:443", "", bad},
		{"HM-29", "github\xc0\xae.com:443", "", bad},
		{"HM-29", "github\ufffd.com:443", "", bad},
		{"HM-30", ":443", "", bad},
		{"HM-30", "", "", bad},
		{"HM-30", ".:443", "", bad},
		{"HM-31", long63 + ".com:443", long63 + ".com:443", ""},
		{"HM-31", long63 + "a.com:443", "", bad},
		{"HM-31", strings.Repeat("a.", 126) + "a:443", strings.Repeat("a.", 126) + "a:443", ""},
		{"HM-31", strings.Repeat("a.", 126) + "aa:443", "", bad},
		{"HM-31", strings.Repeat("a", 64<<10) + ":443", "", bad},
		{"HM-31", strings.Repeat("ü", 64<<10) + ":443", "", bad},
		{"HM-32", "my_svc.example.com:443", "my_svc.example.com:443", ""},
		{"HM-32", "_x.bücher.example:443", "_x.xn--bcher-kva.example:443", ""},
		{"HM-32", "r3---sn-abc.example.com:443", "r3---sn-abc.example.com:443", ""},
		{"HM-38", " github.com:443", "", bad},
		{"HM-38", "github.com :443", "", bad},
		{"HM-38", "github.com:443 ", "", bad},
		{"", "-github.com:443", "", bad},
		{"", "github-.com:443", "", bad},
		{"", "a\u2100b.com:443", "", bad},     // maps to a/c
		{"", "github.com\uff0f:443", "", bad}, // maps to a slash
		{"", "a\u3000b.com:443", "", bad},     // maps to a space

		{"IP-01", "140.82.112.3:443", "140.82.112.3:443", ""},
		{"IP-03", "127.1:443", "", legacy},
		{"IP-03", "127.0.1:443", "", legacy},
		{"IP-04", "2130706433:443", "", legacy},
		{"IP-05", "0x7f000001:443", "", legacy},
		{"IP-05", "0x7f.0.0.1:443", "", legacy},
		{"IP-05", "0X7F.1:443", "", legacy},
		{"IP-06", "0177.0.0.1:443", "", legacy},
		{"IP-06", "017700000001:443", "", legacy},
		{"IP-06", "0127.0.0.1:443", "", legacy},
		{"IP-07", "0:443", "", legacy},
		{"IP-07", "0.1:443", "", legacy},
		{"IP-07", "0.0.0.0:443", "0.0.0.0:443", ""},
		{"IP-08", "127.0.0.256:443", "", bad},
		{"IP-08", "4294967297:443", "", bad},
		{"IP-08", "1.2.3.4.5:443", "", bad},
		{"IP-10", "[0:0:0:0:0:0:0:1]:443", "[::1]:443", ""},
		{"IP-10", "[::0001]:443", "[::1]:443", ""},
		{"IP-12", "[::ffff:127.0.0.1]:443", "127.0.0.1:443", ""},
		{"IP-12", "[::ffff:7f00:1]:443", "127.0.0.1:443", ""},
		{"IP-17", "[fe80::1%25eth0]:443", "", bad},
		{"IP-17", "[fe80::1%eth0]:443", "", bad},
		{"IP-17", "[::1%25.github.com]:443", "", bad},
		{"IP-25", "::1:443", "", bad},
		{"IP-27", "[2001:0DB8:0:0::1]:443", "[2001:db8::1]:443", ""},
		{"IP-28", "127.0.0.1.:443", "", legacy},
		{"IP-29", "①②⑦.⓪.⓪.①:443", "", legacy},
		{"IP-29", "１２７.０.０.１:443", "", legacy},
		{"IP-31", "foo.0x7f:443", "", bad},
		{"IP-31", "foo.0x:443", "", bad},
		{"IP-31", "foo.08:443", "", bad},
		{"", "[127.0.0.1]:443", "", bad},
		{"", "[v1.x]:443", "", bad},

		{"PT-03", "github.com", "", bad},
		{"PT-03", "[::1]", "", bad},
		{"PT-04", "github.com:", "", bad},
		{"PT-05", "github.com:0", "", bad},
		{"PT-06", "github.com:65535", "github.com:65535", ""},
		{"PT-06", "github.com:65536", "", bad},
		{"PT-06", "github.com:91337", "", bad},
		{"PT-06", "github.com:4294967739", "", bad},
		{"PT-07", "github.com:-12", "", bad},
		{"PT-08", "github.com:+443", "", bad},
		{"PT-08", "github.com: 443", "", bad},
		{"PT-08", "github.com:4 43", "", bad},
		{"PT-08", "github.com:0x1bb", "", bad},
		{"PT-08", "github.com:443.0", "", bad},
		{"PT-08", "github.com:1e3", "", bad},
		{"PT-09", "github.com:007", "", bad},
		{"PT-09", "github.com:00443", "", bad},
		{"PT-10", "github.com:https", "", bad},
		{"PT-11", "github.com:443/", "", bad},
		{"PT-11", "github.com:443#", "", bad},
		{"PT-11", "github.com:443;22", "", bad},
		{"PT-11", "github.com:443,22", "", bad},
		{"PT-11", "github.com:443@x", "", bad},
		{"PT-12", "github.com:４４３", "", bad},
		{"PT-13", "github.com:" + strings.Repeat("4", 1<<20), "", bad},
	}
	for _, test := range tests {
		name := test.authority[:min(len(test.authority), 60)]
		got, err := ParseTarget(test.authority)
		if test.want != "" {
			if err != nil || got.String() != test.want {
				t.Errorf("%s: ParseTarget(%q) = %q, %v; want %q", test.id, name, got, err, test.want)
			}
			continue
		}
		var terr *TargetError
		if !errors.As(err, &terr) {
			t.Errorf("%s: ParseTarget(%q) = %q, %v; want a *TargetError", test.id, name, got, err)
			continue
		}
		if terr.Reason != test.reason {
			t.Errorf("%s: ParseTarget(%q) reason = %q (%s), want %q", test.id, name, terr.Reason, terr.Problem, test.reason)
		}
		if got != (Target{}) {
			t.Errorf("%s: ParseTarget(%q) = %q beside an error, want the zero target", test.id, name, got)
		}
	}
}

// TestTargetErrorHidesInput: the text of an error goes to the client and the
// log, so it holds nothing of what was not understood (HM-15).
func TestTargetErrorHidesInput(t *testing.T) {
	t.Parallel()
	for _, authority := range []string{"SECRET\r\nX: y:443", "SECRET@x:1", "[SECRET]:1", "SECRET:SECRET", "SECRET..:1"} {
		_, err := ParseTarget(authority)
		if err == nil || strings.Contains(err.Error(), "SECRET") || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("ParseTarget(%q) error = %v, want one that does not quote it", authority, err)
		}
	}
}
