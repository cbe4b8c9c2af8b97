// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// squidLine, and those below, are all the lines there may be in what is written for a
// program, so that nothing of a policy becomes a line, an option or an expression of
// its own.
var (
	squidLine = regexp.MustCompile(`^(|request(_start)?_timeout [0-9]+ seconds|reply_header_add Proxy-Authenticate "Basic realm=\\"sallyport\\"" !known|deny_info [0-9]{3}:[A-Z_]+ [a-z-]+|` +
		`cache_peer [a-z0-9.:_-]+ parent [0-9]+ 0 no-query no-digest no-netdb-exchange default name=upstream( login=[A-Za-z0-9%]+:[A-Za-z0-9%]+)?|` +
		`never_direct allow all|nonhierarchical_direct off|http_access (allow|deny)( !?[A-Za-z0-9-]+)+|` +
		`acl [a-z0-9-]+ (port [0-9 -]+|dst (all|[0-9a-f:./-]+)|(all|any)-of( [a-z0-9-]+)+|dstdom_regex -n -i [][a-z0-9\\^$.(|)*+?_-]+|` +
		`req_header Proxy-Authorization \^\[Bb]\[Aa]\[Ss]\[Ii]\[Cc]\[\[:space:]]\+[A-Za-z0-9]+=*\$))$`)
	tinyproxyLineForm = regexp.MustCompile(`^(Upstream http ([A-Za-z0-9._~+=-]+:[A-Za-z0-9._~+=-]+@)?[][a-z0-9.:_-]+:[0-9]+|BasicAuth [0-9a-f]{32} [0-9a-f]{32})$`)
	filterLine        = regexp.MustCompile(`^(x\^y|\^[][a-z0-9\\._()|{}?*+,-]+:\([][0-9{},|-]+\)\$)$`)
	privoxyLine       = regexp.MustCompile(`^forward / [][a-z0-9.:_-]+:[0-9]+$`)
	privoxyAction     = regexp.MustCompile(`^(\{[+-]block(\{[A-Za-z ]+\})?( \+[a-z-]+\{[a-z0-9-]+\})*\}|(\.|\?\*\.)?[a-z0-9._-]*(:[0-9,-]+)?/|TAG:\S+|NO-REQUEST-TAG:\S+)$`)
	yamlLine          = regexp.MustCompile(`^([a-z_]+): (.*)$`)
	plainLines        = regexp.MustCompile(`^[ -~\n]*$`)
	knownYAMLOptions  = "listen_host onboarding rawtcp flow_detail termlog_verbosity stream_large_bodies " +
		"ssl_verify_upstream_trusted_ca save_stream_file proxyauth upstream_auth"
)

// checkLines fails unless every line is one of those known or of the form.
func checkLines(t *testing.T, what, text, known string, form *regexp.Regexp) {
	t.Helper()
	if !strings.HasSuffix(text, "\n") || !plainLines.MatchString(text) {
		t.Fatalf("%s: not lines of printable ASCII: %q", what, text)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if !form.MatchString(line) && !strings.Contains("\n"+known, "\n"+line+"\n") {
			t.Fatalf("%s: a line of no form that is expected: %q", what, line)
		}
	}
}

// checkYAML fails unless every line is a known option with one value.
func checkYAML(t *testing.T, text string) {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		m := yamlLine.FindStringSubmatch(line)
		var value any
		if m == nil || seen[m[1]] || !strings.Contains(knownYAMLOptions, m[1]) || json.Unmarshal([]byte(m[2]), &value) != nil {
			t.Fatalf("options: line %q", line)
		}
		seen[m[1]] = true
	}
}

// FuzzPreset: whatever is in a policy, a rendering has only lines of the forms that
// are meant, and the command line never has anything of it but the upstream's host.
func FuzzPreset(f *testing.F) {
	f.Add("github.com", "*.evil.test:22", "http://u:p@proxy.test:3128", "/log", false)
	f.Add("*\n**.x.test:8000-8100\n10.0.0.0/8:*", "[2001:db8::/32]", "", "/a\"b%Y", false)
	f.Add("a.test\"\nhttp_access allow all", "bücher.example", "http://[::1]:1", "/x\ny", false)
	f.Add("", "", "http://a%0Ab:c@x:1", "/ü\u2028", true)
	f.Add("127.0.0.1:80-90\n0.0.0.0/1:*", "*:25", "http://u:%25%22%20@x:1", "", true)
	f.Fuzz(func(t *testing.T, allow, deny, upstream, log string, unfiltered bool) {
		policy := Policy{Upstream: upstream, GuardElsewhere: true, Unfiltered: unfiltered}
		if !unfiltered {
			policy.Allow, policy.Deny = strings.Split(allow, "\n"), strings.Split(deny, "\n")
		}
		for _, p := range presets {
			policy.FlowLog = ""
			if p.name == "mitmdump" {
				policy.FlowLog = log
			}
			spec, err := p.rendered(policy)
			if err != nil {
				continue
			}
			switch p.name {
			case "squid":
				checkLines(t, "squid", spec.Config, squidHead+squidGuards+squidLocalhost, squidLine)
			case "tinyproxy":
				checkLines(t, "tinyproxy", spec.Config, tinyproxyHead+tinyproxyFilter, tinyproxyLineForm)
				if !unfiltered {
					checkLines(t, "filter", spec.Files["filter"], "", filterLine)
				}
			case "privoxy":
				checkLines(t, "privoxy", spec.Config, privoxyHead, privoxyLine)
				checkLines(t, "actions", spec.Files["policy.action"], "", privoxyAction)
			case "mitmdump":
				checkYAML(t, spec.Files["config.yaml"])
				if !json.Valid([]byte(spec.Files["policy.json"])) {
					t.Fatalf("policy.json: %q", spec.Files["policy.json"])
				}
			}
			for _, arg := range spec.Argv {
				if !plainLines.MatchString(arg) || strings.ContainsAny(arg, " \"\n@") {
					t.Fatalf("%s: argument %q", p.name, arg)
				}
			}
		}
	})
}
