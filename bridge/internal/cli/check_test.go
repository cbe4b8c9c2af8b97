// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string
	}{
		{"allowed", []string{"--allow", "github.com", "github.com:443"}, 0, "allow\tgithub.com:443\t-\tgithub.com\n", ""},
		{"as given, judged in canonical form", []string{"--allow", "github.com", "GitHub.com.:443"}, 0, "allow\tGitHub.com.:443\t-\tgithub.com\n", ""},
		{"denied", []string{"--allow", "github.com", "evil.com:443"}, 1, "deny\tevil.com:443\thost_not_allowed\t-\n", ""},
		{"port", []string{"--allow", "github.com", "github.com:22"}, 1, "deny\tgithub.com:22\tport_not_allowed\t", ""},
		{"deny wins", []string{"--allow", "*.a.com", "--deny", "b.a.com", "b.a.com:443"}, 1, "deny\tb.a.com:443\tdenied_by_rule\tb.a.com\n", ""},
		{"no policy", []string{"a.com:443"}, 1, "deny\ta.com:443\thost_not_allowed\t-\n", ""},
		{"two allowed, one denied", []string{"--allow", "a.com,b.com", "a.com:443", "c.com:443", "b.com:80"}, 1, "allow\ta.com:443\t-\ta.com\ndeny\tc.com:443\thost_not_allowed\t-\nallow\tb.com:80\t-\tb.com\n", ""},
		{"address", []string{"--allow", "github.com", "169.254.169.254:80"}, 1, "deny\t169.254.169.254:80\taddress_not_allowed\t-\n", ""},
		{"legacy address", []string{"--allow", "*", "0x7f000001:80"}, 1, "deny\t0x7f000001:80\taddress_not_allowed\t-\n", `warning: pattern "*" `},
		{"no port", []string{"--allow", "a.com", "a.com"}, 2, "deny\ta.com\tmalformed_request\t-\n", `target "a.com": the target has no port; write a.com:443`},
		{"IPv6 without brackets", []string{"--allow", "*", "2001:db8::1"}, 2, "deny\t2001:db8::1\tmalformed_request\t-\n", "write [2001:db8::1]:443"},
		{"URL", []string{"--allow", "a.com", "https://a.com/x"}, 2, "deny\thttps://a.com/x\tmalformed_request\t-\n", "this is a URL, and the proxy sees only host and port; write a.com:443"},
		{"URL with a port", []string{"--allow", "a.com", "http://u@a.com:8080"}, 2, "malformed_request", "write a.com:8080"},
		{"http URL", []string{"--allow", "a.com", "http://a.com"}, 2, "malformed_request", "write a.com:80\n"},
		{"hopeless target", []string{"--allow", "a.com", "a b"}, 2, "malformed_request", "write host:port"},
		{"denied and malformed", []string{"--allow", "a.com", "b.com:443", "a.com"}, 2, "deny\tb.com:443\thost_not_allowed\t-\n", "a.com:443"},
		{"bad pattern", []string{"--allow", ".github.com", "a.com:443"}, 2, "", `--allow: pattern ".github.com" `},
		{"bad pattern, meant", []string{"--allow", ".github.com"}, 2, "", "write github.com and **.github.com"},
		{"URL as pattern", []string{"--allow", "https://github.com"}, 2, "", `pattern "https://github.com"`},
		{"all bad patterns at once", []string{"--allow", ".a.com,*.com", "--deny", "http://c"}, 2, "", `--deny: pattern "http://c" `},
		{"star", []string{"--allow", "*", "a.com:443"}, 0, "allow\ta.com:443\t-\t*\n", `warning: pattern "*" `},
		{"star and an address", []string{"--allow", "*", "203.0.113.7:443"}, 1, "deny\t203.0.113.7:443\taddress_not_allowed\t-\n", `warning: pattern "*" `},
		{"star and localhost", []string{"--allow", "*", "localhost:443"}, 1, "address_not_allowed", `warning: pattern "*" `},
		{"localhost written out", []string{"--allow", "localhost:8080", "localhost:8080"}, 0, "allow\tlocalhost:8080\t-\tlocalhost:8080\n", ""},
		{"pinned to a private address", []string{"--allow", "db.internal:5432", "--resolve", "db.internal=10.0.0.7", "db.internal:5432"}, 1, "address_not_allowed", ""},
		{"pinned and allowed", []string{"--allow", "db.internal:5432,10.0.0.0/8:5432", "--resolve", "DB.internal=10.0.0.7", "db.internal:5432"}, 0, "allow\t", ""},
		{"valid policy", []string{"--allow", "a.com,b.com"}, 0, "", "the policy is valid; allow patterns: 2"},
		{"wide policy", []string{"--allow", "*.github.io"}, 0, "", "warning: "},
		{"dev", []string{"--dev", "github.com:443"}, 0, "allow\tgithub.com:443\t-\t", ""},
		{"letters beyond ASCII", []string{"--allow", "**.b\u00fccher.de:8000-8100", "x.B\u00fccher.de:8000"}, 0, "allow\tx.xn--bcher-kva.de:8000\t-\t**.xn--bcher-kva.de:8000-8100\n", ""},
		{"letters that look like others", []string{"--deny", "\u0430pple.com", "\u0430pple.com:443"}, 1, "deny\txn--pple-43d.com:443\tdenied_by_rule\txn--pple-43d.com\n", ""},
		{"control characters", []string{"--allow", "a.com", "a\x1b[2J\n\u202e.com:443"}, 2, `deny` + "\t" + `a\x1b[2J\n\u202e.com:443` + "\tmalformed_request\t-\n", `a\x1b[2J\n\u202e`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call(t, append([]string{"check"}, tt.args...)...).expect(t, tt.status, tt.stdout, tt.stderr)
		})
	}
}

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	policy := write(t, "p.yaml", "\xef\xbb\xbfallow:\r\n  - a.com\r\ndeny: ['b.a.com']\r\nresolve: {d.com: 10.0.0.1}\r\n")
	list := write(t, "l", "\xef\xbb\xbf# ours\r\nc.com:22\r\nd.com\r\n")
	call(t, "check", "--policy", policy, "--allow", "@"+list, "a.com:443", "c.com:22").
		expect(t, 0, "allow\ta.com:443\t-\ta.com\nallow\tc.com:22\t-\tc.com:22\n", "")
	call(t, "check", "--policy", policy, "--allow", "@"+list, "d.com:443").
		expect(t, 1, "deny\td.com:443\taddress_not_allowed\t", "")

	bad := write(t, "bad.yaml", "allow:\n  - a.com\n  - .b.com\nalow: []\n")
	call(t, "check", "--policy", bad).expect(t, 2, "", bad+`:4: unknown key "alow"`)
	placed := write(t, "placed.yaml", "allow:\n  - a.com\n  - .b.com\n")
	call(t, "check", "--policy", placed).expect(t, 2, "", placed+`:3: pattern ".b.com" `)
	badList := write(t, "bad", "a.com\n\n*.com\n")
	call(t, "check", "--deny", "x.com", "--allow", "@"+badList).expect(t, 2, "", badList+`:3: pattern "*.com" `)
	call(t, "check", "--policy", write(t, "empty.yaml", "")).expect(t, 2, "", "empty.yaml: is empty")
	call(t, "check", "--policy", write(t, "nothing.yaml", "allow: []"), "a.com:443").expect(t, 1, "host_not_allowed", "")
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	r := call(t, "check", "--json", "--allow", "a.com", "A.com:443", "b.com:80", "a\x7f\u202e", "[::ffff:10.0.0.1]:1")
	if r.status != 2 {
		t.Errorf("got status %d, want 2", r.status)
	}
	want := []verdict{
		{Target: "A.com:443", Host: "a.com", Port: 443, Decision: "allow", Rule: "a.com"},
		{Target: "b.com:80", Host: "b.com", Port: 80, Decision: "deny", Reason: "host_not_allowed"},
		{Target: "a\x7f\u202e", Decision: "deny", Reason: "malformed_request"},
		{Target: "[::ffff:10.0.0.1]:1", Host: "10.0.0.1", Port: 1, Decision: "deny", Reason: "address_not_allowed"},
	}
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(want), r.stdout)
	}
	for i, line := range lines {
		var got verdict
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if got != want[i] {
			t.Errorf("got %+v, want %+v", got, want[i])
		}
	}
	if strings.ContainsAny(r.stdout, "\x7f\u202e") {
		t.Errorf("got control characters in %q", r.stdout)
	}
}

func TestCheckToFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full here: %v", err)
	}
	defer full.Close()
	stderr, err := os.Create(write(t, "stderr", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	if got := Main(Streams{Stdin: os.Stdin, Stdout: full, Stderr: stderr}, []string{"check", "--allow", "a.com", "a.com:443"}); got != exitUsage {
		t.Errorf("got status %d, want %d", got, exitUsage)
	}
}
