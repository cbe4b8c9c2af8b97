// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package summary

import (
	"strings"

	"github.com/sallyport-dev/sallyport/bridge/internal/printable"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// SearchDomains returns the domains that a resolver with this resolv.conf(5) appends to
// names that it does not find, or finds too short.
func SearchDomains(resolvConf string) (domains []string) {
	for line := range strings.Lines(resolvConf) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "search" && f[0] != "domain" {
			continue
		}
		domains = nil // the last one counts
		for _, d := range f[1:] {
			if d = strings.ToLower(strings.Trim(d, ".")); d != "" {
				domains = append(domains, d)
			}
		}
	}
	return domains
}

// meant gives the row that k is counted in: that of the name which a resolver was asked for, if
// k is the same with a search domain appended and both were refused. c.mu is held.
func (c *Counter) meant(k key) key {
	base := k
	base.host = withoutSearch(k.host, c.Search)
	if _, refused := c.counts[base]; k.query && refused {
		return base
	}
	return k
}

// withoutSearch takes a search domain off a name. A name of one label is left as it is: it may
// well be meant to have the domain.
func withoutSearch(host string, search []string) string {
	for _, d := range search {
		if base, ok := strings.CutSuffix(host, "."+d); ok && strings.Contains(base, ".") {
			return base
		}
	}
	return host
}

// adviceOnName is advice for a refused query.
func (k key) adviceOnName(search []string) string {
	base := withoutSearch(k.host, search)
	switch {
	case k.host == "":
		return "the name is not valid"
	case k.reason == proxycore.DeniedByRule:
		return "remove the deny rule " + printable.Pattern(k.rule)
	case k.reason == proxycore.LimitExceeded:
		return "look up fewer names: this is the limit of a sandbox"
	case strings.HasSuffix(k.host, ".in-addr.arpa"), strings.HasSuffix(k.host, ".ip6.arpa"):
		return "nothing is needed: it asks for the name of an address"
	case base != k.host:
		return "nothing is needed, if " + base + " is allowed: the rest is of resolv.conf's search list"
	}
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{k.host}})
	if err != nil || !f.DecideName(k.host).Allowed {
		return "-"
	}
	return "--allow " + quote(k.host) + "; write HOST:PORT for other ports than 80 and 443"
}
