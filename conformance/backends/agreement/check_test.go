// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package agreement

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance/vectors"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// verdict is one line of "sallyport check --json".
type verdict struct {
	Host     string           `json:"host"`
	Port     uint16           `json:"port"`
	Decision string           `json:"decision"`
	Reason   proxycore.Reason `json:"reason"`
	Rule     string           `json:"rule"`
}

// check asks the command for its verdicts on targets, in order.
func check(t *testing.T, p vectors.Policy, targets []string) []verdict {
	t.Helper()
	args := []string{"check", "--json"}
	for _, line := range p.Allow {
		args = append(args, "--allow", line)
	}
	for _, line := range p.Deny {
		args = append(args, "--deny", line)
	}
	for host, addrs := range pins() {
		texts := make([]string, len(addrs))
		for i, a := range addrs {
			texts[i] = a.String()
		}
		args = append(args, "--resolve", host+"="+strings.Join(texts, ","))
	}
	args = append(append(args, "--"), targets...)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("sallyport check: %v", err)
	}
	var all []verdict
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var v verdict
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatalf("sallyport check printed %q: %v", s.Text(), err)
		}
		all = append(all, v)
	}
	if len(all) != len(targets) {
		t.Fatalf("sallyport check gave %d verdicts on %d targets; %s", len(all), len(targets), &stderr)
	}
	return all
}

// TestCheckAgreesWithTheProxy puts every vector to the command and to the live proxy, by TCP and through
// the socket bridge. Decision, reason, rule, host and port must be the same.
func TestCheckAgreesWithTheProxy(t *testing.T) {
	t.Parallel()
	asked := 0
	for name, policy := range vectors.Policies() {
		var all []vectors.Vector
		var targets []string
		for _, v := range vectors.Targets() {
			// An argument cannot hold a NUL; TestNUL has these.
			if v.Policy == name && !strings.ContainsRune(v.Target, 0) {
				all, targets = append(all, v), append(targets, v.Target)
			}
		}
		if asked += len(all); len(all) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := startLive(t, policy)
			for i, told := range check(t, policy, targets) {
				for entry := range proxy.entries {
					got := proxy.ask(t, entry, all[i].Head())
					if problem := compare(all[i], told, got); problem != "" {
						t.Errorf("%s by %s: %s\n\tcheck %+v\n\tproxy %d %+v", all[i].ID(), entry, problem, told, got.status, got.record)
					}
				}
			}
		})
	}
	if asked < 200 {
		t.Errorf("only %d vectors were asked; the tables have moved", asked)
	}
}

// compare says in what the command and the proxy differ, "" when they agree.
func compare(v vectors.Vector, told verdict, got answer) string {
	allowed := told.Decision == proxycore.DecisionAllow
	r := got.record
	switch {
	case told.Decision != r.Decision:
		return "the decisions differ"
	case told.Rule != r.Rule:
		return "the rules differ"
	case allowed && !afterPolicy(r):
		return "the proxy refused for a reason of the policy"
	case !allowed && told.Reason != r.Reason && !tooLarge(v, got):
		return "the reasons differ"
	case allowed && (told.Host != r.Host || told.Port != r.Port):
		return "the targets differ"
	case allowed && got.status != 200 && got.status != 502, !allowed && got.status/100 != 4:
		return fmt.Sprintf("status %d does not go with the decision", got.status)
	}
	return ""
}

// tooLarge reports that the proxy never came to read the target: the head as a whole was too large. The
// command, which has no head, calls such a target malformed.
func tooLarge(v vectors.Vector, got answer) bool {
	return got.record.Reason == proxycore.LimitExceeded && len(v.Head()) > 8<<10
}

// TestNUL puts the targets that no argument can hold to the function the command asks.
func TestNUL(t *testing.T) {
	t.Parallel()
	n := 0
	for _, v := range vectors.Targets() {
		if !strings.ContainsRune(v.Target, 0) {
			continue
		}
		n++
		var bad *proxycore.TargetError
		if _, err := proxycore.ParseTarget(v.Target); !errors.As(err, &bad) || bad.Reason != proxycore.MalformedRequest {
			t.Errorf("ParseTarget(%q): %v; want malformed_request", v.Target, err)
		}
		if got := startLive(t, vectors.Policies()[v.Policy]).ask(t, "tcp", v.Head()); got.status != 400 || got.record.Reason != proxycore.MalformedRequest {
			t.Errorf("%s: the proxy says %d %+v; want malformed_request", v.ID(), got.status, got.record)
		}
	}
	if n == 0 {
		t.Error("no vector holds a NUL any more; delete this test")
	}
}
