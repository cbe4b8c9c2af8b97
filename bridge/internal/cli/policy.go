// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge/internal/policyfile"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// policyFlags are the options that make up a policy. They add up: what any of
// them allows is allowed, what any of them denies is denied, and deny wins.
type policyFlags struct {
	allow, deny patternList
	dev         bool
	files       []string
	pins        pinList
	upstream    upstreamFlags // not defined for check, which sends nothing
}

// define adds the options to set.
func (f *policyFlags) define(set *pflag.FlagSet) {
	f.allow.flag, f.deny.flag = "--allow", "--deny"
	set.Var(&f.allow, "allow", "allow these patterns; @FILE reads them from a file, one on each line")
	set.Var(&f.deny, "deny", "deny these patterns, whatever is allowed")
	set.BoolVar(&f.dev, "dev", false, "allow what everyday development needs: code hosts and package registries")
	set.StringArrayVar(&f.files, "policy", nil, "read a policy in YAML from `FILE`")
	set.Var(&f.pins, "resolve", "use these addresses for a name instead of asking a name server")
}

// policy is what the options and files say, checked.
type policy struct {
	filter *proxycore.Filter
	hosts  map[string][]netip.Addr
	// upstream says which proxy to go through. It decides nothing: what is allowed is the
	// same with and without.
	upstream upstreamSettings
	// secret are the files that hold the upstream's password in its URL.
	secret []string
}

// load reads the files and compiles the policy. It can be called again to
// read them anew. The error holds every problem found, each with its place.
func (f *policyFlags) load() (*policy, error) {
	allow, allowErr := f.allow.load()
	deny, denyErr := f.deny.load()
	pins := slices.Clone(f.pins)
	problems := []error{allowErr, denyErr}
	var upstreams []*policyfile.Upstream
	var secret []string
	for _, name := range f.files {
		file, err := policyfile.Load(name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		allow = append(allow, file.Allow...)
		deny = append(deny, file.Deny...)
		pins = append(pins, file.Resolve...)
		if file.Upstream != nil {
			upstreams = append(upstreams, file.Upstream)
			if hasUserinfo(file.Upstream.URL) {
				secret = append(secret, name)
			}
		}
	}
	if f.dev {
		for _, text := range proxycore.DefaultDevAllowlist() {
			allow = append(allow, policyfile.Pattern{Text: text, Source: "--dev"})
		}
	}
	hosts, err := pinned(pins)
	problems = append(problems, err)
	upstream, err := f.upstream.load(upstreams)
	problems = append(problems, err)
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: texts(allow), Deny: texts(deny)})
	problems = append(problems, placed(err, slices.Concat(allow, deny)))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &policy{filter, hosts, upstream, secret}, nil
}

// load returns the list with its files read.
func (l *patternList) load() ([]policyfile.Pattern, error) {
	var patterns []policyfile.Pattern
	var problems []error
	for _, item := range l.items {
		if item.file == "" {
			patterns = append(patterns, item.pattern)
			continue
		}
		found, err := policyfile.LoadList(item.file)
		patterns = append(patterns, found...)
		problems = append(problems, err)
	}
	return patterns, errors.Join(problems...)
}

func texts(patterns []policyfile.Pattern) []string {
	all := make([]string, len(patterns))
	for i, p := range patterns {
		all[i] = p.Text
	}
	return all
}

// placed puts before each pattern error the place the pattern was read from.
func placed(err error, patterns []policyfile.Pattern) error {
	if err == nil {
		return nil
	}
	sources := make(map[string]string, len(patterns))
	for _, p := range patterns {
		if _, known := sources[p.Text]; !known {
			sources[p.Text] = p.Source
		}
	}
	var all []error
	for _, one := range flatten(err) {
		var bad *proxycore.PatternError
		if !errors.As(one, &bad) {
			all = append(all, one)
			continue
		}
		all = append(all, &patternError{sources[bad.Pattern], bad})
	}
	return errors.Join(all...)
}

// patternError is a pattern that cannot be used and where it stands.
type patternError struct {
	source string
	err    *proxycore.PatternError
}

// Error implements error.
func (e *patternError) Error() string {
	if e.source == "" {
		return e.err.Error()
	}
	text := fmt.Sprintf("%s: pattern %q %s", e.source, e.err.Pattern, e.err.Problem)
	if e.err.Suggestion != "" {
		text += "; " + e.err.Suggestion
	}
	return text
}

// Unwrap gives the error without the place.
func (e *patternError) Unwrap() error { return e.err }

// pinned checks the names of the pins and brings them into the form that
// proxycore compares. The same name with other addresses is an error: which of
// the two was meant is not ours to guess.
func pinned(pins []policyfile.Pin) (map[string][]netip.Addr, error) {
	var problems []error
	hosts := make(map[string][]netip.Addr, len(pins))
	for _, p := range pins {
		t, err := proxycore.ParseTarget(p.Name + ":443")
		if err != nil || t.Host == "" {
			problems = append(problems, fmt.Errorf("%s: %q is not a host name; write NAME=ADDR, such as db.internal=10.0.0.7", p.Source, p.Name))
			continue
		}
		if known, twice := hosts[t.Host]; twice && !slices.Equal(known, p.Addrs) {
			problems = append(problems, fmt.Errorf("%s: %s is pinned twice, to different addresses; name all its addresses in one place", p.Source, t.Host))
			continue
		}
		hosts[t.Host] = p.Addrs
	}
	return hosts, errors.Join(problems...)
}
