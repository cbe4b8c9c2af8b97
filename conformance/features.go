// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// Feature is optional behaviour that a backend may claim.
type Feature string

// Entry points. A backend claims at least one.
const (
	// TCP: the instance listens on 127.0.0.1, and Config.Port is honoured.
	TCP Feature = "tcp"
	// Unix: Config.SocketPath is honoured and the socket leads to the proxy.
	Unix Feature = "unix"
	// Sandbox: Instance.Launch runs commands whose only way out is the proxy.
	Sandbox Feature = "sandbox"
)

// Policy features. For each of them that a backend does not claim the suite checks that a policy
// line which needs it is refused, or admits nothing.
const (
	// Wildcards: `*.example.com` admits exactly one label below the name, never the name itself.
	Wildcards Feature = "wildcards"
	// DeepWildcards: `**.example.com` admits one or more labels below the name.
	DeepWildcards Feature = "deep-wildcards"
	// AnyName: `*` admits every name, and no special-purpose address.
	AnyName Feature = "any-name"
	// PortRules: `example.com:8443` admits that port and no other.
	PortRules Feature = "port-rules"
	// AddressRules: `203.0.113.7`, `[2001:db8::1]:443` and `10.0.0.0/8:5432` admit addresses.
	AddressRules Feature = "address-rules"
	// DenyRules: Config.Deny is honoured and wins over Config.Allow.
	DenyRules Feature = "deny-rules"
)

// Further features.
const (
	// Reasons: a refusal carries a Proxy-Status field (RFC 9209) with an error type and the reason.
	Reasons Feature = "reasons"
	// Intercept: the proxy terminates TLS with a certificate authority of its own, Instance.CABundle.
	Intercept Feature = "intercept"
	// DeathReport: Instance.Done is closed when the proxy dies unexpectedly.
	DeathReport Feature = "death-report"
)

// Chaining: proxies behind proxies. For each kind of upstream that a backend does not claim the suite checks that
// Start refuses it.
const (
	// UpstreamHTTP: Config.Upstream is honoured, and may be an http:// URL. The other kinds need it too.
	UpstreamHTTP Feature = "upstream"
	// UpstreamTLS: it may be an https:// URL, whose certificate is verified.
	UpstreamTLS Feature = "upstream-tls"
	// UpstreamSOCKS: it may be a socks5h:// URL; names are sent, never resolved by the instance.
	UpstreamSOCKS Feature = "upstream-socks5h"
	// UpstreamUnix: it may be a unix:// URL.
	UpstreamUnix Feature = "upstream-unix"
	// UpstreamAuth: it may ask for credentials, Upstream.User and Upstream.Password.
	UpstreamAuth Feature = "upstream-auth"
)

// Launcher: Config.Child is honoured, Instance stands for a program of somebody else's.
const Launcher Feature = "launcher"

// Transparent: Config.Transparent is honoured, programs inside that ignore the proxy variables reach what is allowed, and
// nothing else. It comes with Sandbox.
const Transparent Feature = "transparent"

// FeatureSet is a set of claimed features. The zero value claims nothing.
type FeatureSet struct{ names []Feature }

// Features makes a set. Names the suite does not know are reported when a run begins, so that a
// typing error cannot silently switch checks off.
func Features(f ...Feature) FeatureSet {
	names := slices.Clone(f)
	slices.Sort(names)
	return FeatureSet{names: slices.Compact(names)}
}

// AllFeatures returns every feature this version of the suite knows, in alphabetical order.
func AllFeatures() []Feature {
	all := []Feature{
		AddressRules, AnyName, DeathReport, DeepWildcards, DenyRules, Intercept, Launcher, PortRules, Reasons,
		Sandbox, TCP, Transparent, Unix, UpstreamAuth, UpstreamHTTP, UpstreamSOCKS, UpstreamTLS, UpstreamUnix, Wildcards,
	}
	slices.Sort(all)
	return all
}

// Has reports whether f is claimed.
func (s FeatureSet) Has(f Feature) bool { return slices.Contains(s.names, f) }

// List returns the claimed features in alphabetical order.
func (s FeatureSet) List() []Feature { return slices.Clone(s.names) }

// unknown returns an error for the first name the suite does not know.
func (s FeatureSet) unknown() error {
	all := AllFeatures()
	for _, f := range s.names {
		if slices.Contains(all, f) {
			continue
		}
		known := make([]string, len(all))
		for i, k := range all {
			known[i] = string(k)
		}
		hint := ""
		if near := similar(string(f), known); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return fmt.Errorf("conformance: unknown feature %q%s (known are %s)", f, hint, strings.Join(known, ", "))
	}
	return nil
}
