// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/outside"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// backend makes the backend the flags describe. Every error is one of configuration.
func (r *runFlags) backend(trace io.Writer) (conformance.Backend, error) {
	line := r.exec + r.launch + r.with // exactly one is set
	t, err := outside.Parse(line)
	if err != nil {
		return conformance.Backend{}, err
	}
	policy, err := fixedPolicy(r.fixedPolicy)
	if err != nil {
		return conformance.Backend{}, err
	}
	o := outside.Options{Grace: time.Duration(float64(3*time.Second) * r.scale)}
	if r.trace {
		o.Trace = trace
	}
	b := conformance.Backend{Name: r.name, Version: r.version}
	if b.Name == "" {
		b.Name = filepath.Base(t.Program())
	}
	if b.Known, err = r.known(); err != nil {
		return b, err
	}
	b.Restrictions = conformance.Restrictions{
		Policy: policy, Shared: r.proxy != "", HeadTimeout: !t.Uses(outside.HeadTimeout),
	}
	var entry []conformance.Feature
	switch {
	case r.exec != "":
		entry, err = execEntry(t)
		b.Start = o.Exec(t, policy != "")
	case r.launch != "":
		entry, err = launchEntry(t)
		b.Start = o.Launch(t, policy != "")
	default:
		var door net.Addr
		door, entry, err = proxyEntry(r.proxy)
		b.Start = o.Running(door, t)
	}
	if err != nil {
		return b, err
	}
	if err := words(t, policy); err != nil {
		return b, err
	}
	b.Features, err = r.claim(t, entry)
	return b, err
}

// execEntry are the ways in that a command line for a proxy shows.
func execEntry(t *outside.Template) (entry []conformance.Feature, err error) {
	if t.Uses(outside.Cmd) {
		return nil, errors.New("{cmd} belongs to --launch: --exec starts a proxy and leaves it running")
	}
	if t.Uses(outside.Listen, outside.Port) {
		entry = append(entry, conformance.TCP)
	}
	if t.Uses(outside.Socket) {
		entry = append(entry, conformance.Unix)
	}
	if len(entry) == 0 {
		return nil, errors.New("the command line has neither {listen} nor {port} nor {socket}: nothing tells the proxy where the suite will look for it")
	}
	return entry, nil
}

func launchEntry(t *outside.Template) ([]conformance.Feature, error) {
	switch {
	case !t.Uses(outside.Cmd):
		return nil, errors.New("the command line of --launch has no {cmd}: nothing tells the sandbox what to run")
	case t.Uses(outside.Listen, outside.Addr, outside.Port, outside.Socket):
		return nil, errors.New("the suite goes through the sandbox of --launch and nowhere else: {listen}, {addr}, {port} and {socket} belong to --exec")
	}
	return []conformance.Feature{conformance.Sandbox}, nil
}

// proxyEntry is the address of a proxy's URL.
func proxyEntry(text string) (net.Addr, []conformance.Feature, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("--proxy: %w", err)
	}
	if u.Scheme == "unix" && u.Host == "" && filepath.IsAbs(u.Path) {
		return &net.UnixAddr{Net: "unix", Name: u.Path}, []conformance.Feature{conformance.Unix}, nil
	}
	at, err := netip.ParseAddrPort(u.Host)
	if err != nil || u.Scheme != "http" || !at.Addr().IsLoopback() || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return nil, nil, fmt.Errorf("--proxy %s: want http:// with an address of the loopback interface and a port, or unix:// with a path", text)
	}
	return net.TCPAddrFromAddrPort(at), []conformance.Feature{conformance.TCP}, nil
}

// words looks for the words that carry the policy.
func words(t *outside.Template, policy string) error {
	has := t.Uses(outside.Allow, outside.AllowFile)
	switch {
	case policy == "" && !has:
		return errors.New("the command line has neither {allow} nor {allowfile}: nothing tells it what to allow. If its policy is fixed, say which it is with --fixed-policy (list --policies)")
	case policy != "" && t.Uses(outside.Allow, outside.AllowFile, outside.Deny, outside.DenyFile):
		return errors.New("--fixed-policy says that the command line does not take the policy, and it has {allow} or {deny} in it: leave one out")
	}
	return nil
}

// missing says what a feature needs in the command line.
var missing = map[conformance.Feature]struct {
	words []string
	why   string
}{
	conformance.TCP:       {[]string{outside.Listen, outside.Port}, "{listen} or {port}"},
	conformance.Unix:      {[]string{outside.Socket}, "{socket}"},
	conformance.Sandbox:   {[]string{outside.Cmd}, "{cmd}, in --launch"},
	conformance.DenyRules: {[]string{outside.Deny, outside.DenyFile}, "{deny} or {denyfile}"},

	conformance.UpstreamHTTP:  {[]string{outside.Upstream}, "{upstream}"},
	conformance.UpstreamTLS:   {[]string{outside.UpstreamCA}, "{upstream-ca}"},
	conformance.UpstreamSOCKS: {[]string{outside.Upstream}, "{upstream}"},
	conformance.UpstreamUnix:  {[]string{outside.Upstream}, "{upstream}"},
	conformance.UpstreamAuth:  {[]string{outside.Login}, "{upstream-credentials}"},
}

// claim joins what the command line shows with what the user says.
func (r *runFlags) claim(t *outside.Template, entry []conformance.Feature) (conformance.FeatureSet, error) {
	all := slices.Clone(entry)
	if t.Uses(outside.Deny, outside.DenyFile) {
		all = append(all, conformance.DenyRules)
	}
	for f, word := range map[conformance.Feature]string{
		conformance.UpstreamHTTP: outside.Upstream, conformance.UpstreamTLS: outside.UpstreamCA, conformance.UpstreamAuth: outside.Login,
	} {
		if t.Uses(word) {
			all = append(all, f)
		}
	}
	for _, name := range r.features {
		f := conformance.Feature(strings.TrimSpace(name))
		m, needs := missing[f]
		fixed := r.fixedPolicy != "" && f == conformance.DenyRules
		if needs && !slices.Contains(entry, f) && !t.Uses(m.words...) && !fixed {
			return conformance.FeatureSet{}, fmt.Errorf("--features %s: the command line has no %s, so the suite cannot ask for it", f, m.why)
		}
		if f == conformance.Intercept {
			return conformance.FeatureSet{}, errors.New("--features intercept: a command line cannot say where the CA bundle is; write a backend in Go (README)")
		}
		if f == conformance.Launcher {
			return conformance.FeatureSet{}, errors.New("--features launcher: a command line cannot be given a program to start; write a backend in Go (README)")
		}
		if f == conformance.Transparent {
			return conformance.FeatureSet{}, errors.New("--features transparent: a command line cannot be told when to be transparent; write a backend in Go (README)")
		}
		if f == conformance.DeathReport && r.launch != "" {
			return conformance.FeatureSet{}, errors.New("--features death-report: there is no proxy between two commands of --launch that could die")
		}
		all = append(all, f)
	}
	return conformance.Features(all...), nil
}

// fixedPolicy finds out which of the suite's policies is meant: by its name, or by a file with the same lines.
func fixedPolicy(text string) (string, error) {
	all := vectors.Policies()
	if _, ok := all[text]; ok || text == "" {
		return text, nil
	}
	names := strings.Join(slices.Sorted(maps.Keys(all)), ", ")
	allow, deny, err := readPolicy(text)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("--fixed-policy %s: neither a policy of the suite (%s) nor a file", text, names)
	}
	if err != nil {
		return "", fmt.Errorf("--fixed-policy: %w", err)
	}
	for name, p := range all {
		if same(p.Allow, allow) && same(p.Deny, deny) {
			return name, nil
		}
	}
	return "", fmt.Errorf("--fixed-policy %s: its lines are those of none of the suite's policies (%s), so that no check could be run; list --policies prints them", text, names)
}

// readPolicy reads a file with a policy line on every line, those that deny with "deny " before.
func readPolicy(path string) (allow, deny []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if rest, ok := strings.CutPrefix(line, "deny "); ok {
			deny = append(deny, strings.TrimSpace(rest))
		} else if line != "" && !strings.HasPrefix(line, "#") {
			allow = append(allow, line)
		}
	}
	return allow, deny, s.Err()
}

// same compares lists as sets.
func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
