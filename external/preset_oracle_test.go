// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// pick returns one of the list.
func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

var (
	oracleNames = []string{"a.test", "b.a.test", "c.b.a.test", "x.test", "google.internal", "metadata.google.internal", "goog", "localhost", "a.localhost", "xn--bcher-kva.test"}
	oracleAddrs = []string{
		"0.0.0.0", "10.0.0.1", "10.1.0.1", "127.0.0.1", "127.0.0.2", "169.254.169.254", "169.254.1.1", "8.8.8.8", "192.0.0.9", "192.0.0.8", "255.255.255.255",
		"::", "::1", "::10.0.0.1", "::ffff:0:a00:1", "64:ff9b::808:808", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2001:0:a00:1::f5ff:fffe",
		"2001:0:0808:0808::f5ff:fffe", "2002:a00:1::", "2001:db8::1", "2606:4700::1", "fd00::1", "fd00:ec2::254", "4000::1", "fe80::1", "ff02::1", "2001:1::1",
	}
	oraclePorts = []uint16{1, 22, 80, 443, 8000, 65535}
)

// oraclePattern makes a pattern that is valid on either list.
func oraclePattern(r *rand.Rand) string {
	port := pick(r, []string{"", "", ":*", ":22", ":80-8000", ":443"})
	if r.IntN(3) == 0 {
		a := netip.MustParseAddr(pick(r, oracleAddrs))
		p := netip.PrefixFrom(a, pick(r, []int{0, 1, 4, 7, 8, 9, 16, 24, 31, a.BitLen() - 1, a.BitLen(), a.BitLen()})).Masked()
		if a.Is6() {
			return "[" + p.String() + "]" + port
		}
		return p.String() + port
	}
	switch name := pick(r, oracleNames); r.IntN(7) {
	case 0:
		return "*" + port
	case 1, 2:
		return "*." + strings.TrimPrefix(name, "goog.") + port
	case 3, 4:
		return "**." + name + port
	default:
		return name + port
	}
}

// oraclePolicy makes a policy that a filter can be made of.
func oraclePolicy(r *rand.Rand) (Policy, *proxycore.Filter) {
	for {
		var p Policy
		for range r.IntN(6) {
			p.Allow = append(p.Allow, oraclePattern(r))
		}
		for range r.IntN(3) {
			p.Deny = append(p.Deny, oraclePattern(r))
		}
		if f, err := proxycore.NewFilter(proxycore.Policy{Allow: p.Allow, Deny: p.Deny}); err == nil {
			return p, f
		}
	}
}

// question is a target and the addresses of its name.
type question struct {
	Target    string   `json:"target"`
	Addresses []string `json:"addresses"`
	allowed   bool
}

func oracleQuestion(r *rand.Rand, f *proxycore.Filter) question {
	var q question
	port := pick(r, oraclePorts)
	if r.IntN(3) == 0 {
		a := netip.MustParseAddr(pick(r, append(oracleAddrs, "2001:0:0808:0808::f5ff:fffe", "2001:0:0808:0808::f5ff:fffe")))
		q.Target = netip.AddrPortFrom(a, port).String()
		target, _ := proxycore.ParseTarget(q.Target)
		q.allowed = f.Decide(target).Allowed
		return q
	}
	prefix := pick(r, []string{"", "", "www.", "b.", "x.y."})
	q.Target = fmt.Sprintf("%s%s%s:%d", prefix, pick(r, oracleNames), pick(r, []string{"", "."}), port)
	target, _ := proxycore.ParseTarget(q.Target)
	var addrs []netip.Addr
	for range 1 + r.IntN(2) {
		a := pick(r, append(oracleAddrs, "127.0.0.1", "127.0.0.1", "::1", "8.8.8.8", "8.8.8.8", "8.8.8.8", "8.8.8.8", "2606:4700::1"))
		q.Addresses = append(q.Addresses, a)
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	q.allowed = f.DecideAddrs(target, addrs).Allowed
	return q
}

// hardPolicies are about what chance seldom meets.
var hardPolicies = []Policy{
	{Allow: []string{"localhost:*", "**.localhost:*", "**.test:*"}},
	{Allow: []string{"*:*"}},
	{Allow: []string{"*:*", "127.0.0.0/8:22"}},
	{Allow: []string{"**.internal:*", "*.google.internal:*"}},
	{Allow: []string{"**.internal:*", "metadata.google.internal:22", "a.test:*"}},
	{Allow: []string{"[64:ff9b:1::/48]:*", "[2001::/32]:*", "[2002::/16]:*", "**.test:*"}, Deny: []string{"10.0.0.0/8"}},
	{Allow: []string{"0.0.0.0/0:*", "[::/0]:*", "**.test:*"}, Deny: []string{"8.8.8.0/24", "2606:4700::/32"}},
	{Allow: []string{"*:*", "10.0.0.0/8:*"}, Deny: []string{"*:22", "b.a.test"}},
}

// judge asks the addon's policy, with the addon's order of questions.
const judge = `
import ipaddress, json, sys
from sallyport_policy import Policy, Refused, split_authority
for case in json.load(sys.stdin):
    policy = Policy(case["policy"])
    for q in case["questions"]:
        try:
            name, address, port = split_authority(q["target"])
            if address:
                policy.decide_literal(address, port)
            else:
                localhost = policy.decide_name(name, port)
                policy.decide_addresses([ipaddress.ip_address(a) for a in q["addresses"]], port, localhost)
            print("allow")
        except Refused as e:
            print("deny")
`

// The addon decides as the filter does.
func TestAddonOracle(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("python3 is not installed, and CI must not pass without it: %v", err)
		}
		t.Skipf("python3 is not installed: %v", err)
	}
	type testCase struct {
		Policy    json.RawMessage `json:"policy"`
		Questions []question      `json:"questions"`
		written   Policy
	}
	r := rand.New(rand.NewPCG(11, 12))
	var cases []testCase
	mitmdump, _ := LookupPreset("mitmdump")
	for i := range 300 {
		policy, filter := oraclePolicy(r)
		if i < len(hardPolicies) {
			policy = hardPolicies[i]
			filter, _ = proxycore.NewFilter(proxycore.Policy{Allow: policy.Allow, Deny: policy.Deny})
		}
		spec, err := mitmdump.rendered(policy)
		if err != nil {
			t.Fatalf("%+v: %v", policy, err)
		}
		c := testCase{Policy: json.RawMessage(spec.Files["policy.json"]), written: policy}
		for range 60 {
			c.Questions = append(c.Questions, oracleQuestion(r, filter))
		}
		cases = append(cases, c)
	}
	raw, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/sallyport_policy.py", []byte(mitmdumpPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-B", "-c", judge)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
	cmd.Stdin = strings.NewReader(string(raw))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, out)
	}
	answers := strings.Fields(string(out))
	for _, c := range cases {
		for _, q := range c.Questions {
			if want := map[bool]string{true: "allow", false: "deny"}[q.allowed]; len(answers) == 0 || answers[0] != want {
				t.Fatalf("allow %q, deny %q: the addon says %.1q to %s with %q; want %s", c.written.Allow, c.written.Deny, answers, q.Target, q.Addresses, want)
			}
			answers = answers[1:]
		}
	}
}

// The sets of addresses that presets write down are those of the filter, and so are the
// names that a regular expression matches.
func TestRulesOracle(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		policy, filter := oraclePolicy(r)
		rules, err := presetrules.Parse(policy.Allow, nil)
		if err != nil {
			t.Fatal(err)
		}
		any, _ := proxycore.NewFilter(proxycore.Policy{Allow: append(slices.Clone(policy.Allow), "probe.test:*")})
		for range 40 {
			a, port := netip.MustParseAddr(pick(r, oracleAddrs)), pick(r, oraclePorts)
			var admitted []netip.Prefix
			literal := false
			for _, rule := range presetrules.Addresses(rules.Allow) {
				if presetrules.AdmitsPort(rule, port) {
					admitted = append(admitted, rule.Prefix)
					literal = literal || holds(presetrules.Literal(rule.Prefix), a)
				}
			}
			if want := any.Decide(proxycore.Target{Addr: a, Port: port}).Allowed; literal != want {
				t.Fatalf("%q: literal %s:%d admitted: %v, want %v", policy.Allow, a, port, literal, want)
			}
			want := any.DecideAddrs(proxycore.Target{Host: "probe.test", Port: port}, []netip.Addr{a}).Allowed
			if got := !holds(presetrules.Guarded(admitted), a); got != want {
				t.Fatalf("%q: a name with %s on port %d admitted: %v, want %v", policy.Allow, a, port, got, want)
			}
			checkName(t, r, rules, port, filter, policy)
		}
	}
}

// checkName compares what the regular expressions match with what the filter allows,
// where only allowing patterns count.
func checkName(t *testing.T, r *rand.Rand, rules presetrules.Rules, port uint16, filter *proxycore.Filter, policy Policy) {
	t.Helper()
	host := pick(r, []string{"", "www.", "b.", "x.y."}) + pick(r, []string{"a.test", "x.test", "c.b.a.test", "goog", "xn--bcher-kva.test"})
	matched := slices.ContainsFunc(presetrules.Names(rules.Allow), func(rule presetrules.Rule) bool {
		return presetrules.AdmitsPort(rule, port) && regexp.MustCompile("^"+presetrules.NameRegexp(rule)+"$").MatchString(host)
	})
	d := filter.Decide(proxycore.Target{Host: host, Port: port})
	if d.Reason == proxycore.DeniedByRule {
		return
	}
	if d.Allowed != matched {
		t.Fatalf("%q: %s:%d matched: %v, want %v", policy.Allow, host, port, matched, d.Allowed)
	}
}

func holds(spans []presetrules.Span, a netip.Addr) bool {
	return slices.ContainsFunc(spans, func(s presetrules.Span) bool {
		return s.First.BitLen() == a.BitLen() && !a.Less(s.First) && !s.Last.Less(a)
	})
}
