// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge/internal/printable"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// check is the subcommand check.
type check struct {
	set    *pflag.FlagSet
	policy policyFlags
	json   bool
}

func newCheck() flagged {
	c := &check{set: newFlagSet("check")}
	c.policy.define(c.set)
	c.set.BoolVar(&c.json, "json", false, "print one JSON object for each target")
	return c
}

func (c *check) flagSet() *pflag.FlagSet { return c.set }

// verdict is one line of the output.
type verdict struct {
	Target   string           `json:"target"` // as given
	Host     string           `json:"host"`   // as judged, "" if not valid
	Port     uint16           `json:"port"`
	Decision string           `json:"decision"`
	Reason   proxycore.Reason `json:"reason"`
	Rule     string           `json:"rule"`
	problem  string           // not "": the target is not valid, and why
}

// run judges each target as the proxy would.
func (c *check) run(s Streams, targets []string) int {
	p, err := c.policy.load()
	if err != nil {
		complain(s.Stderr, err)
		return exitUsage
	}
	warn(s.Stderr, p.filter)
	if len(targets) == 0 {
		fmt.Fprintf(s.Stderr, "sallyport: the policy is valid; allow patterns: %d\n", p.filter.Len())
		return exitOK
	}
	out := bufio.NewWriter(s.Stdout)
	status := exitOK
	for _, target := range targets {
		v := p.judge(target)
		if v.problem != "" {
			complain(s.Stderr, fmt.Errorf("target %s", v.problem))
			status = exitUsage
		} else if v.Decision == proxycore.DecisionDeny {
			status = max(status, exitDenied)
		}
		out.WriteString(v.line(c.json))
	}
	if err := out.Flush(); err != nil {
		complain(s.Stderr, fmt.Errorf("writing the verdicts: %w", err))
		return exitUsage
	}
	return status
}

// judge asks the filter what the proxy asks it. A name whose addresses are
// known without a name server, because they are pinned or it is localhost, is
// judged with them; any other name's addresses are checked only when it is used.
func (p *policy) judge(target string) verdict {
	v := verdict{Target: target, Decision: proxycore.DecisionDeny}
	t, err := proxycore.ParseTarget(target)
	if err != nil {
		bad := &proxycore.TargetError{Reason: proxycore.MalformedRequest, Problem: err.Error()}
		errors.As(err, &bad)
		if v.Reason = bad.Reason; v.Reason == proxycore.MalformedRequest {
			v.problem = targetProblem(target, bad)
		}
		return v
	}
	v.Host, v.Port = t.Host, t.Port
	if t.Addr.IsValid() {
		v.Host = t.Addr.String()
	}
	d := p.filter.Decide(t)
	if addrs := p.known(t.Host); d.Allowed && len(addrs) > 0 {
		if byAddrs := p.filter.DecideAddrs(t, addrs); !byAddrs.Allowed {
			d = byAddrs
		}
	}
	if d.Allowed {
		v.Decision = proxycore.DecisionAllow
	}
	v.Reason, v.Rule = d.Reason, d.Rule
	return v
}

// known returns the addresses the proxy will use for host without asking
// anybody, or nil.
func (p *policy) known(host string) []netip.Addr {
	if addrs := p.hosts[host]; addrs != nil {
		return addrs
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return nil
}

// targetProblem says what is wrong with a target and how it was meant to be
// written, as far as that is clear.
func targetProblem(target string, bad *proxycore.TargetError) string {
	text, meant := bad.Problem, meantTarget(target)
	if strings.Contains(target, "://") {
		text = "this is a URL, and the proxy sees only host and port"
	}
	if meant == "" {
		meant = "host:port, as in github.com:443"
	}
	return fmt.Sprintf("%s: %s; write %s", strconv.QuoteToASCII(target), text, meant)
}

// meantTarget guesses host:port from a URL or a bare host, "" if it cannot.
func meantTarget(target string) string {
	port := "443"
	scheme, rest, isURL := strings.Cut(target, "://")
	if isURL {
		if strings.EqualFold(scheme, "http") {
			port = "80"
		}
	} else {
		rest = target
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if addr, err := netip.ParseAddr(rest); err == nil && addr.Is6() {
		rest = "[" + rest + "]"
	}
	for _, guess := range []string{rest, strings.TrimSuffix(rest, ":") + ":" + port} {
		if t, err := proxycore.ParseTarget(guess); err == nil {
			return t.String()
		}
	}
	return ""
}

// line is the verdict as it is printed. Fields without a value are "-", so
// that tools which fold blanks still see four of them.
func (v verdict) line(asJSON bool) string {
	if asJSON {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(v) // strings and numbers only: cannot fail
		return string(printable.JSON(b.Bytes()))
	}
	return strings.Join([]string{v.Decision, field(v.Target), field(string(v.Reason)), field(v.Rule)}, "\t") + "\n"
}

// field is one column of the output.
func field(s string) string {
	if s == "" {
		return "-"
	}
	return printable.Pattern(s)
}
