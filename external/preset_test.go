// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

var update = flag.Bool("update", false, "write the golden configurations anew")

// goldenPolicies are rendered by every preset that can.
var goldenPolicies = map[string]Policy{
	"nothing": {},
	"names":   {Allow: []string{"GitHub.com", "*.github.com:22", "**.example.org:8000-8002", "bücher.example."}, GuardElsewhere: true},
	"wide":    {Allow: []string{"*", "*.internal:*", "metadata.goog:80"}},
	"addresses": {
		Allow: []string{"203.0.113.7", "10.0.0.0/9:5432", "8.8.8.0/21:53", "0.0.0.0/0:9"}, GuardElsewhere: true,
	},
	"ipv6": {Allow: []string{"intra.example", "[2001:db8::/48]:443", "fd00::/8", "::1"}, Deny: []string{"[fd00:ec2::/32]"}},
	"denials": {
		Allow: []string{"**.example.com:*", "10.0.0.0/8"}, GuardElsewhere: true,
		Deny: []string{"evil.example.com", "*.bad.example.com:22", "**.worse.example.com", "other.test", "10.1.0.0/16"},
	},
	"denied names": {Allow: []string{"**.example.com", "**.b.example.com:22"}, GuardElsewhere: true,
		Deny: []string{"evil.example.com", "*.bad.example.com:22", "other.test", "10.0.0.0/8:22"}},
	"unfiltered":         {Unfiltered: true},
	"head":               {Unfiltered: true, HeadTimeout: 1500 * time.Millisecond},
	"upstream":           {Allow: []string{"example.com"}, GuardElsewhere: true, Upstream: "http://proxy.corp.example:3128"},
	"upstream with user": {Unfiltered: true, Upstream: "http://u:p.w%2B1@192.0.2.8:3128"},
	"mitmdump":           {Allow: []string{"example.com"}, FlowLog: "/var/log/flows %Y\"", Roots: "/etc/ssl/roots.pem", Intercept: InterceptKnown},
}

// serviceMark is the name of a Squid, which is another one for each Spec.
var serviceMark = regexp.MustCompile(`sallyport[0-9a-f]{8}(\{port\})`)

// text is everything of a Spec that the child gets, but for what is the same for
// all policies.
func (s Spec) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "argv %q\nenv %q\nCA %q\nprobe %q\nunfiltered %v\n", s.Argv[1:], s.Env, s.CABundle, s.Probe, s.Unfiltered)
	if s.Config != "" {
		fmt.Fprintf(&b, "== config\n%s", s.Config)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if strings.HasSuffix(name, ".py") {
			continue
		}
		fmt.Fprintf(&b, "== %s\n%s", name, s.Files[name])
	}
	text := serviceMark.ReplaceAllString(b.String(), "sallyportMARK$1")
	if c := s.credentials; c != nil {
		text = strings.NewReplacer(c.user, "USER", c.password, "PASSWORD", c.basic(), "BASIC").Replace(text)
	}
	return text
}

// leaves lists joined errors.
func leaves(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []error
		for _, e := range joined.Unwrap() {
			list = append(list, leaves(e)...)
		}
		return list
	}
	return []error{err}
}

func TestPresetGolden(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, preset := range presets {
		for policyName, policy := range goldenPolicies {
			spec, err := preset.rendered(policy)
			var text string
			if err != nil {
				for _, e := range leaves(err) {
					text += "error " + e.Error() + "\n"
				}
			} else {
				text = spec.text()
			}
			path := filepath.Join("testdata", preset.name, strings.ReplaceAll(policyName, " ", "-")+".golden")
			seen[path] = true
			if *update {
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || text != strings.ReplaceAll(string(want), "\r\n", "\n") {
				t.Errorf("%s, policy %q: the configuration is not that of %s (%v); go test -update writes it anew; got\n%s", preset.name, policyName, path, err, text)
			}
		}
	}
	files, _ := filepath.Glob("testdata/*/*.golden")
	for _, f := range files {
		if !seen[f] {
			t.Errorf("%s is nobody's", f)
		}
	}
}

func TestPresetRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		preset  string
		policy  Policy
		pattern string // of one of the errors
		reason  string // a part of its reason
	}{
		{"tinyproxy", Policy{Allow: []string{"github.com"}}, "github.com", "does not judge the addresses"},
		{"tinyproxy", Policy{Allow: []string{"*:1"}, GuardElsewhere: true}, "*:1", "metadata"},
		{"tinyproxy", Policy{Allow: []string{"**.internal"}, GuardElsewhere: true}, "**.internal", "metadata.google.internal"},
		{"tinyproxy", Policy{Allow: []string{"localhost"}, GuardElsewhere: true}, "localhost", "127.0.0.1"},
		{"tinyproxy", Policy{Allow: []string{"[2001:db8::1]:443"}}, "[2001:db8::1]:443", "many spellings"},
		{"tinyproxy", Policy{Allow: []string{"a.test:1-65534"}, GuardElsewhere: true}, "a.test:1-65534", "ports"},
		{"tinyproxy", Policy{Allow: []string{"**." + strings.Repeat("a.", 124) + "test:*"}, GuardElsewhere: true}, "**." + strings.Repeat("a.", 124) + "test:*", "longer"},
		{"tinyproxy", Policy{Allow: []string{"**.a.test"}, Deny: []string{"b.a.test"}, GuardElsewhere: true}, "b.a.test", "no deny rules"},
		{"tinyproxy", Policy{Allow: []string{"a.test"}, Deny: []string{"10.0.0.0/8"}, GuardElsewhere: true}, "10.0.0.0/8", "no deny rules"},
		{"tinyproxy", Policy{Unfiltered: true, Upstream: "http://u:a@b@192.0.2.1:1"}, "Upstream", "credentials"},
		{"tinyproxy", Policy{FlowLog: "/x"}, "FlowLog", "mitmdump"},
		{"privoxy", Policy{Allow: []string{"github.com"}}, "github.com", "does not judge the addresses"},
		{"privoxy", Policy{Allow: []string{"*"}, GuardElsewhere: true}, "*", "names from addresses"},
		{"privoxy", Policy{Allow: []string{"10.0.0.0/8"}}, "10.0.0.0/8", "single IPv4"},
		{"privoxy", Policy{Allow: []string{"**.a.test"}, Deny: []string{"**.b.a.test"}, GuardElsewhere: true}, "**.b.a.test", "deny both"},
		{"privoxy", Policy{Allow: []string{"a.test"}, Deny: []string{"10.0.0.1"}, GuardElsewhere: true}, "10.0.0.1", "does not judge"},
		{"privoxy", Policy{Upstream: "http://u:p@192.0.2.1:1"}, "Upstream", "cannot authenticate"},
		{"squid", Policy{Allow: []string{"a.localhost"}}, "a.localhost", "name server for localhost"},
		{"squid", Policy{Allow: []string{"*", "127.0.0.0/8:80"}}, "*", "localhost"},
		{"squid", Policy{Allow: []string{"a.test"}, Upstream: "http://192.0.2.1:1"}, "a.test", "GuardElsewhere"},
		{"squid", Policy{Allow: []string{"64:ff9b:1::/64"}, Deny: []string{"10.0.0.0/8"}}, "10.0.0.0/8", "carry IPv4"},
		{"squid", Policy{CADir: "/x"}, "CADir", "does not intercept"},
		{"mitmdump", Policy{FlowLog: "x"}, "FlowLog", "absolute"},
		{"mitmdump", Policy{Roots: "/x\ny"}, "Roots", "control characters"},
		{"tinyproxy", Policy{HeadTimeout: 1}, "HeadTimeout", "idle tunnels"},
		{"privoxy", Policy{HeadTimeout: 1}, "HeadTimeout", "idle tunnels"},
		{"squid", Policy{HeadTimeout: -1}, "HeadTimeout", "negative"},
		{"mitmdump", Policy{Intercept: 9}, "Intercept", "no such value"},
	}
	for _, tt := range tests {
		p, err := LookupPreset(tt.preset)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := p.rendered(tt.policy)
		i := slices.IndexFunc(leaves(err), func(e error) bool {
			var ie *InexpressibleError
			return errors.As(e, &ie) && ie.Preset == tt.preset && ie.Pattern == tt.pattern && strings.Contains(ie.Reason, tt.reason)
		})
		if i < 0 || spec.Argv != nil {
			t.Errorf("%s, %+v: %v; want a refusal of %q: %s", tt.preset, tt.policy, err, tt.pattern, tt.reason)
		}
	}
}

// All that is wrong is said at once, and bad patterns have the errors they have everywhere.
func TestPresetErrors(t *testing.T) {
	t.Parallel()
	tinyproxy, _ := LookupPreset("tinyproxy")
	if _, err := tinyproxy.Spec(Policy{Allow: []string{"a.test", "b.test", "::1"}}); len(leaves(err)) != 3 {
		t.Errorf("errors %v; want one for each pattern", err)
	}
	for _, p := range presets {
		_, err := p.Spec(Policy{Allow: []string{"https://x", "ok.test"}, Deny: []string{"x:0"}})
		_, want := proxycore.NewFilter(proxycore.Policy{Allow: []string{"https://x", "ok.test"}, Deny: []string{"x:0"}})
		if err == nil || err.Error() != want.Error() {
			t.Errorf("%s: %v; want %v", p.name, err, want)
		}
		if _, err := p.Spec(Policy{Unfiltered: true, Allow: []string{"x"}}); err == nil {
			t.Errorf("%s: an unfiltered proxy with patterns is no error", p.name)
		}
		for _, raw := range []string{
			"proxy:3128", "https://proxy:3128", "socks5h://proxy:1", "http://proxy", "http://proxy:0", "http://proxy:3128/x", "http://", "http://u@proxy:1",
			"http://u:p%0Aq@proxy:1", "http://u:p%7Bdir%7D@proxy:1", "http://u%3Av:p@proxy:1", "://", "direct",
		} {
			spec, err := p.Spec(Policy{Unfiltered: true, Upstream: raw})
			if err == nil || spec.Argv != nil || strings.Contains(err.Error(), "p%0Aq") {
				t.Errorf("%s: upstream %q: %v; want an error", p.name, raw, err)
			}
		}
	}
	if _, err := (Preset{}).Spec(Policy{}); err == nil {
		t.Error("the zero Preset works")
	}
}

func TestLookupPreset(t *testing.T) {
	t.Parallel()
	if got := Presets(); !slices.Equal(got, []string{"mitmdump", "privoxy", "squid", "tinyproxy"}) {
		t.Errorf("Presets = %q", got)
	}
	for name, want := range map[string]string{
		"": "there are mitmdump, privoxy, squid, tinyproxy", "mitmproxy": "did you mean mitmdump?", "Squid": "did you mean squid?",
		"squd": "did you mean squid?", "sqiud": "did you mean squid?", "nginx": "there are",
	} {
		if _, err := LookupPreset(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("LookupPreset(%q): %v; want %q", name, err, want)
		}
	}
}

// Secrets are in private files, each Spec has its own, and printing shows none.
func TestPresetCredentials(t *testing.T) {
	t.Parallel()
	policy := Policy{Unfiltered: true, Upstream: "http://upuser:uppass@192.0.2.8:3128"}
	for _, name := range []string{"squid", "tinyproxy", "mitmdump"} {
		p, _ := LookupPreset(name)
		a, errA := p.rendered(policy)
		b, errB := p.rendered(policy)
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		user, password := a.Credentials()
		if other, otherPassword := b.Credentials(); len(user) != 32 || len(password) != 32 || user == other || password == otherPassword {
			t.Errorf("%s: credentials %q, %q; want 128 random bits each", name, user, password)
		}
		open := strings.Join(append(a.Argv, a.Env...), " ")
		for _, secret := range []string{user, password, a.credentials.basic(), "upuser", "uppass"} {
			if strings.Contains(open, secret) {
				t.Errorf("%s: %q is on the command line or in the environment", name, secret)
			}
		}
	}
	if p, _ := LookupPreset("privoxy"); true {
		spec, err := p.rendered(Policy{Unfiltered: true})
		if user, _ := spec.Credentials(); err != nil || user != "" {
			t.Errorf("privoxy: credentials %q, %v; want none", user, err)
		}
	}
}

// The addon's own words in braces are no placeholders.
func TestAddonHasNoPlaceholders(t *testing.T) {
	t.Parallel()
	for _, text := range []string{mitmdumpAddon, mitmdumpPolicy, tinyproxyFilter, squidGuards} {
		for _, word := range []string{addrPlaceholder, socketPlaceholder, configPlaceholder} {
			if strings.Contains(text, word) {
				t.Errorf("%s stands in %.60q", word, text)
			}
		}
	}
	if strings.Contains(mitmdumpAddon+mitmdumpPolicy, portPlaceholder) || strings.Contains(mitmdumpAddon+mitmdumpPolicy, dirPlaceholder) {
		t.Error("the addon has a placeholder in it")
	}
}

// A program that is not there is an error that names the package.
func TestPresetNotInstalled(t *testing.T) {
	t.Parallel()
	p, _ := LookupPreset("squid")
	p.program = "sallyport-has-no-such-program"
	if _, err := p.Spec(Policy{}); !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "apt install squid") {
		t.Errorf("Spec: %v; want ErrNotInstalled and the package", err)
	}
}
