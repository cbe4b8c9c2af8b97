// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestPatternErrors is the CF-05 table and its relatives. Each suggestion is
// compared, because it is what the user acts on.
func TestPatternErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ pattern, problem, suggestion string }{
		{"", "is empty", "remove the entry"},
		{" ", "is empty", "remove the entry"},
		{"\t \t", "is empty", ""},
		{"*.", "no name below the star", "write a name"},
		{"**.", "no name below the star", ""},
		{"**.:443", "no name below the star", ""},
		{".", "no name after the dot", ""},
		{"..", "no name after the dot", ""},
		{".github.com", "begins with a dot", "write github.com and **.github.com"},
		{".github.com:443", "begins with a dot", "write github.com:443 and **.github.com:443"},
		{".com", "begins with a dot", "write a name"},
		{"*..github.com", "empty label", "write *.github.com"},
		{"*com", "not a label of its own", "*.NAME admits one label"},
		{"*foo.com", "not a label of its own", "write foo.com and **.foo.com"},
		{"*foo.com:22", "not a label of its own", "write foo.com:22 and **.foo.com:22"},
		{"foo.*", "in place of the last label", "such as foo.com and foo.org"},
		{"foo.*:443", "in place of the last label", "such as foo.com"},
		{"foo.*.com", "star inside", "*.NAME"},
		{"foo.*.example.com", "star inside", "write **.example.com; listing"},
		{"foo.*bar.example.com", "star inside", "write **.example.com; listing"},
		{"*.*.com", "more than one wildcard label", "write a name"},
		{"*.*.github.com", "more than one wildcard label", "write **.github.com"},
		{"*.**.github.com:22", "more than one wildcard label", "write **.github.com:22"},
		{"**", "more than one star", "write *; it admits every name"},
		{"*.*", "stars and no name", ""},
		{"ex*ample.com", "star inside", ""},
		{"api.*.x", "star inside", "*.NAME"},
		{"a..b", "empty label", "write a.b"},
		{"github.com..", "empty label", "write github.com"},
		{"http://x", "is a URL", "write x"},
		{"https://github.com", "is a URL", "write github.com"},
		{"https://github.com/foo?x=y#z", "is a URL", "write github.com"},
		{"https://github.com:8443/", "is a URL", "write github.com:8443"},
		{"https://[2001:db8::1]:8443/", "is a URL", "write [2001:db8::1]:8443"},
		{"ssh://git@github.com/a/b.git", "is a URL", "write github.com:22"},
		{"https://user:pw@github.com/", "is a URL", "write github.com"},
		{"x/y", "has a path", "write x; paths cannot be filtered"},
		{"github.com/", "has a path", "write github.com"},
		{"/", "has a path", ""},
		{"x:0", "port is 0", "1 to 65535"},
		{"x:99999", "over 65535", "1 to 65535"},
		{"x:4294967739", "over 65535", "1 to 65535"},
		{"x:", "colon but no port", "write x or x:*"},
		{"github.com:", "colon but no port", "write github.com or github.com:*"},
		{"x:+443", "not a plain number", "write x:443"},
		{"x:0443", "leading zeros", "write x:443"},
		{"x:https", "not a plain number", "write x:443"},
		{"x:-1", "port is empty", ""},
		{"x:80-", "port is empty", ""},
		{"x:90-80", "ends before it begins", "write x:80-90"},
		{"x:80,443", "is a list", "write x:80 and x:443"},
		{"a.com,b.com", "is a list", "write a.com and b.com"},
		{"a.com;b.com", "is a list", "write a.com and b.com"},
		{":443", "no host before the port", ""},
		{"x:443:80", "more than one colon", "write one port"},
		{"x.com:443:80", "more than one colon", "write x.com:443 and x.com:80"},
		{"u@x", "user name", "write x"},
		{"git@github.com:org/repo", "user name", "write github.com:22"},
		{"[x]", "brackets round something other", "write x"},
		{"[127.0.0.1]:22", "brackets round something other", "write 127.0.0.1:22"},
		{"[::1", "without a closing one", "write [2001:db8::1]:443"},
		{"[]", "brackets round", ""},
		{"[::1]443", "other than ports", ""},
		{"[2001:db8::]/32", "outside the brackets", "write [2001:db8::/32]"},
		{"[2001:db8::]/32:443", "outside the brackets", "write [2001:db8::/32]:443"},
		{"x y", "has a blank", "write x and y"},
		{"github.com # forge", "has a comment", "write github.com"},
		{"# forge", "has a comment", ""},
		{"x\x00", "control character", "write x"},
		{"github.com\r", "has a carriage return", "write github.com; save the file with LF line ends, not CRLF"},
		{"a.com\r\nb.com", "has a carriage return", "write a.com and b.com"},
		{"a.com\nb.com", "line break", "write a.com and b.com"},
		{"\ufeffgithub.com", "byte order mark", "write github.com; save the file as UTF-8 without a byte order mark"},
		{"git\u00adhub.com", "invisible", "write github.com"},
		{"github.com\u202e", "invisible", "write github.com"},
		{"x\xff", "not valid UTF-8", ""},
		{"!evil.com", "exclamation mark", `put "evil.com" on the deny list`},
		{`"github.com"`, "quotation marks", "write github.com"},
		{`^github\.com$`, "regular expression", "**.NAME"},
		{"git?ub.com", "regular expression", ""},
		{"-x.com", "begins or ends with a hyphen", ""},
		{"xn--", "punycode", ""},
		{"xn--a", "", ""},
		{"%67ithub.com", "percent sign", ""},
		{strings.Repeat("a", 64) + ".com", "longer than 63", ""},
		{strings.Repeat("a.", 127) + "com", "longer than 253", ""},
		{strings.Repeat("a.", 9000) + "com", "longer than any hostname", ""},

		{"127.1", "spelling other than four plain decimal numbers", "write 127.0.0.1; programs disagree"},
		{"127.1:80", "spelling other", "write 127.0.0.1:80"},
		{"0x7f000001", "spelling other", "write 127.0.0.1"},
		{"2130706433", "spelling other", "write 127.0.0.1"},
		{"0177.0.0.1", "spelling other", "write 127.0.0.1"},
		{"127.0.0.1.", "spelling other", "write 127.0.0.1"},
		{"１２７.０.０.１", "spelling other", "write 127.0.0.1"},
		{"127.0.0.256", "ends in a number", "four numbers from 0 to 255"},
		{"1.2.3.4.5", "ends in a number", ""},
		{"*.0.0.1", "wildcard before a number", "10.0.0.0/8"},
		{"*.1", "wildcard before a number", ""},
		{"10.*", "star in an address", "write 10.0.0.0/8"},
		{"192.168.*.*:22", "star in an address", "write 192.168.0.0/16:22"},
		{"10.0.0.1/8", "bits set behind", "write 10.0.0.0/8 or 10.0.0.1; the first is the network"},
		{"10.0.0.1/8:22", "bits set behind", "write 10.0.0.0/8:22 or 10.0.0.1:22"},
		{"2001:db8::1/32", "bits set behind", "write 2001:db8::/32 or 2001:db8::1"},
		{"[2001:db8::1/32]:22", "bits set behind", "write [2001:db8::/32]:22 or [2001:db8::1]:22"},
		{"10/8", "not four numbers", "write 10.0.0.0/8"},
		{"192.168/16:22", "not four numbers", "write 192.168.0.0/16:22"},
		{"10.0.0.0/33", "prefix length", "leave the slash out"},
		{"10.0.0.0/", "prefix length", ""},
		{"10.0.0.0/08", "prefix length", ""},
		{"10.0.0.0/255.0.0.0", "prefix length", "write 10.0.0.0/8"},
		{"10.0.0.0/255.0.255.0", "prefix length", ""},
		{"2001:db8::/32:443", "ports after an IPv6 prefix", "write [2001:db8::/32]:443"},
		{"2001:db8:0:0:0:0:0:1:443", "ports after an IPv6 address", "write [2001:db8:0:0:0:0:0:1]:443"},
		{"2001:db8::1:443", "may be an address or", "write [2001:db8::1:443] or [2001:db8::1]:443"},
		{"::1:22", "may be an address or", "write [::1:22] or [::1]:22"},
		{"[fe80::1%eth0]:22", "has a zone", "write [fe80::1]:22"},
		{"fe80::1%eth0", "has a zone", "write [fe80::1]"},
		{"::ffff:0:0/90", "", ""},

		{"*.com", "public suffix com", "such as *.example.com"},
		{"**.com", "public suffix com", "such as *.example.com"},
		{"*.COM:443", "public suffix com", ""},
		{"*.co.uk", "public suffix co.uk", "such as *.example.co.uk"},
		{"*.kawasaki.jp", "public suffix kawasaki.jp", ""},
		{"*.рф", "public suffix", ""},
	}
	for _, test := range tests {
		_, err := NewFilter(Policy{Allow: []string{test.pattern}})
		var perr *PatternError
		if !errors.As(err, &perr) {
			t.Errorf("NewFilter(%q) error = %v, want a *PatternError", test.pattern, err)
			continue
		}
		if perr.Pattern != test.pattern {
			t.Errorf("%q: Pattern = %q, want it as written", test.pattern, perr.Pattern)
		}
		if !strings.Contains(perr.Problem, test.problem) || perr.Problem == "" {
			t.Errorf("%q: Problem = %q, want %q in it", test.pattern, perr.Problem, test.problem)
		}
		if !strings.Contains(perr.Suggestion, test.suggestion) || perr.Suggestion == "" {
			t.Errorf("%q: Suggestion = %q, want %q in it", test.pattern, perr.Suggestion, test.suggestion)
		}
		if got := err.Error(); !strings.HasPrefix(got, "proxycore: pattern ") || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("%q: Error() = %q, want one line that begins with the package", test.pattern, got)
		}
	}
}

// TestPatternErrorsJoined: every problem of a policy is reported, and an error
// leaves no filter (CF-04).
func TestPatternErrorsJoined(t *testing.T) {
	t.Parallel()
	f, err := NewFilter(Policy{Allow: []string{"ok.com", "x:0", "https://y"}, Deny: []string{"*z.com"}})
	if f != nil {
		t.Errorf("filter = %v, want nil", f)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("error %T, want joined errors", err)
	}
	var got []string
	var walk func(errs []error)
	walk = func(errs []error) {
		for _, e := range errs {
			if perr, ok := e.(*PatternError); ok {
				got = append(got, perr.Pattern)
			} else if j, ok := e.(interface{ Unwrap() []error }); ok {
				walk(j.Unwrap())
			}
		}
	}
	walk(joined.Unwrap())
	if want := []string{"x:0", "https://y", "*z.com"}; !slices.Equal(got, want) {
		t.Errorf("patterns = %q, want %q", got, want)
	}
}

// TestPatternWarnings: what strangers can register is a warning (CF-06, DN-06).
func TestPatternWarnings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		want    bool
	}{
		{"*.github.io", true},
		{"**.github.io:443", true},
		{"*.amazonaws.com", true},
		{"**.s3.amazonaws.com", true},
		{"*.compute.amazonaws.com", true},
		{"**.sslip.io", true},
		{"*.nip.io", true},
		{"*.workers.dev", true},
		{"*.GitHub.IO.", true},
		{"github.io", false},
		{"*.pages.example.github.io", false},
		{"*.github.com", false},
		{"**.example.co.uk", false},
		{"*.internal", false},
		{"**.localhost", false},
		{"10.0.0.0/8", false},
	}
	for _, test := range tests {
		f, err := NewFilter(Policy{Allow: []string{test.pattern}})
		if err != nil {
			t.Errorf("NewFilter(%q): %v", test.pattern, err)
			continue
		}
		got := f.Warnings()
		if (len(got) == 1) != test.want {
			t.Errorf("Warnings of %q = %q, want any: %v", test.pattern, got, test.want)
		}
		if test.want && !strings.Contains(got[0], test.pattern) {
			t.Errorf("Warnings of %q = %q, want it named", test.pattern, got)
		}
	}
	if f, err := NewFilter(Policy{Deny: []string{"*.github.io", "*.com", "**.co.uk", "*", "*:*", "0.0.0.0/0", "::/0"}}); err != nil || len(f.Warnings()) != 0 {
		t.Errorf("deny wildcards: error %v, warnings %q; want neither: a wide denial is no danger", err, f.Warnings())
	}
}

// What admits nearly everything says so, and says what it admits.
func TestBroadPatternsWarn(t *testing.T) {
	t.Parallel()
	tests := []struct{ pattern, admits string }{
		{"*", "every name on ports 443 and 80"},
		{"*:*", "every name on every port"},
		{"*:22", "every name on port 22"},
		{"*:8000-8100", "every name on ports 8000 to 8100"},
		{"0.0.0.0/0", "every public address of 0.0.0.0/0 on ports 443 and 80"},
		{"0.0.0.0/0:*", "every public address of 0.0.0.0/0 on every port"},
		{"128.0.0.0/1:22", "every public address of 128.0.0.0/1 on port 22"},
		{"2.0.0.0/7", "every public address of 2.0.0.0/7 on ports 443 and 80"},
		{"::/0", "every public address of ::/0 on ports 443 and 80"},
		{"[::/0]:*", "every public address of ::/0 on every port"},
		{"2000::/3", "every public address of 2000::/3 on ports 443 and 80"},
		{"2600::/12", "every public address of 2600::/12 on ports 443 and 80"},
		{"64:ff9b::/96", "every public address of 64:ff9b::/96 on ports 443 and 80"}, // all of IPv4, through a translator
		{"64:ff9b::/32", "every public address of 64:ff9b::/32 on ports 443 and 80"},
		{"3.0.0.0/8", ""},
		{"2600:1f00::/24", ""},
		{"64:ff9b::808:0/112", ""},
		{"203.0.113.7:*", ""},
		// Whole blocks in which nothing is public.
		{"240.0.0.0/4", ""},
		{"224.0.0.0/4:*", ""},
		{"fc00::/7", ""},
		{"fe80::/10", ""},
		{"4000::/2", ""},
	}
	for _, tt := range tests {
		f, err := NewFilter(Policy{Allow: []string{tt.pattern}})
		if err != nil {
			t.Errorf("NewFilter(%q): %v", tt.pattern, err)
			continue
		}
		got := strings.Join(f.Warnings(), "|")
		if tt.admits == "" && got != "" {
			t.Errorf("Warnings of %q = %q, want none", tt.pattern, got)
		} else if want := "pattern " + quote(tt.pattern) + " admits " + tt.admits + ": "; tt.admits != "" && !strings.HasPrefix(got, want) {
			t.Errorf("Warnings of %q = %q, want it to begin with %q", tt.pattern, got, want)
		}
	}
}
