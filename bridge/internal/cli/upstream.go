// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge/internal/policyfile"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// fromEnvironment is the value of --upstream that asks for the host's own proxy variables.
const fromEnvironment = "env"

// The values of --upstream-lookup.
const (
	lookupHere     = "here"
	lookupUpstream = "upstream"
)

// upstreamFlags are the options that name a proxy to go through.
type upstreamFlags struct{ url, credentials, lookup word }

// define adds the options to set.
func (f *upstreamFlags) define(set *pflag.FlagSet) {
	f.url.define(set, "upstream", "send what is allowed through the proxy at `URL`: http://, https://, socks5h:// or unix:///PATH; env takes HTTPS_PROXY and NO_PROXY of this environment")
	f.credentials.define(set, "upstream-credentials", "read its user:password from `FILE`, which nobody else may read, or from the variable that env:NAME names")
	f.lookup.define(set, "upstream-lookup", "look names up `WHERE`: upstream, or here, where every address is checked (default: upstream; with --external and its relatives, here)")
}

// setting is one value and the place it was given in.
type setting struct{ value, source string }

// given reports whether there is one.
func (s setting) given() bool { return s.source != "" }

// upstreamSettings say which proxy to go through. The URL may hold a password, so these
// have no text form. They can be compared.
type upstreamSettings struct{ url, credentials, lookup setting }

// Format implements fmt.Formatter, and shows nothing.
func (s upstreamSettings) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(upstream)") }

// same reports whether two mean the same, wherever they were read from.
func (s upstreamSettings) same(other upstreamSettings) bool {
	return s.url.value == other.url.value && s.credentials.value == other.credentials.value && s.lookup.value == other.lookup.value
}

// load joins the options with what policy files say, and judges all that can be judged without
// reading credentials or variables.
func (f *upstreamFlags) load(files []*policyfile.Upstream) (upstreamSettings, error) {
	problems := []error{twice(&f.url, &f.credentials, &f.lookup)}
	join := func(what string, flag *word, read func(*policyfile.Upstream) string) setting {
		var s setting
		if flag.given() {
			s = setting{flag.value(), flag.flag}
		}
		for _, u := range files {
			next := setting{read(u), u.Source}
			switch {
			case next.value == "":
			case !s.given():
				s = next
			case s.value != next.value:
				problems = append(problems, fmt.Errorf("%s and %s name different %s; which of the two is meant is not ours to guess: leave one out", s.source, next.source, what))
			}
		}
		return s
	}
	s := upstreamSettings{
		url:         join("upstreams", &f.url, func(u *policyfile.Upstream) string { return u.URL }),
		credentials: join("credentials for the upstream", &f.credentials, func(u *policyfile.Upstream) string { return u.Credentials }),
		lookup:      join("places to look names up", &f.lookup, func(u *policyfile.Upstream) string { return u.Lookup }),
	}
	problems = append(problems, s.check())
	if err := errors.Join(problems...); err != nil {
		return upstreamSettings{}, err
	}
	return s, nil
}

// check judges the values themselves. No message shows one.
func (s upstreamSettings) check() error {
	var problems []error
	if s.url.given() && s.url.value != fromEnvironment {
		if _, err := proxycore.ParseUpstream(s.url.value); err != nil {
			problems = append(problems, at(s.url.source, err))
		} else if s.credentials.given() && hasUserinfo(s.url.value) {
			problems = append(problems, fmt.Errorf("%s: the upstream's URL holds credentials, and %s names others; leave one of the two out", s.url.source, s.credentials.source))
		}
	}
	if s.credentials.given() {
		if !s.url.given() {
			problems = append(problems, fmt.Errorf("%s needs --upstream, or upstream in a policy file (--external-addr sends none)", s.credentials.source))
		}
		problems = append(problems, s.checkCredentials())
	}
	if l := s.lookup; l.given() && l.value != lookupHere && l.value != lookupUpstream {
		problems = append(problems, fmt.Errorf("%s: names are looked up %s or %s; write one of the two", l.source, lookupHere, lookupUpstream))
	}
	return errors.Join(problems...)
}

// checkCredentials judges how the credentials are named.
func (s upstreamSettings) checkCredentials() error {
	c := s.credentials
	if name, ok := strings.CutPrefix(c.value, envPrefix); ok {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("%s: write env:NAME, with the name of the variable that holds user:password", c.source)
		}
		return nil
	}
	if !strings.HasPrefix(c.source, "--") && !filepath.IsAbs(c.value) {
		return fmt.Errorf("%s: credentials is a relative path, and a policy file may be used from anywhere; write an absolute one, or env:NAME", c.source)
	}
	return nil
}

// hasUserinfo reports whether a valid URL holds credentials.
func hasUserinfo(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.User != nil
}

// lookupOr gives the place to look names up in, def where none was given.
func (s upstreamSettings) lookupOr(def proxycore.Lookup) proxycore.Lookup {
	switch s.lookup.value {
	case lookupHere:
		return proxycore.LookupHere
	case lookupUpstream:
		return proxycore.LookupUpstream
	}
	return def
}
