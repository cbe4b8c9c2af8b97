// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// UpstreamFromEnvironment gives a [Config].Route that follows the proxy variables
// of env, a list as os.Environ gives it: https_proxy or HTTPS_PROXY, else
// all_proxy or ALL_PROXY, with the exceptions of no_proxy or NO_PROXY as
// [golang.org/x/net/http/httpproxy] reads them. The lower-case name comes first,
// and a value without a scheme is an http:// one.
//
// It is an error when none of the four names a proxy, and when any of them is
// empty or not what [ParseUpstream] accepts: whoever asks for the environment's
// upstream must not go without one by mistake. The error names the variable and
// nothing of its value. An entry of NO_PROXY that cannot be understood excepts
// nothing. Besides those of NO_PROXY, localhost and loopback addresses are direct.
func UpstreamFromEnvironment(env []string) (route func(Target) (*Upstream, error), err error) {
	vars := make(map[string]string)
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = value
	}
	u, err := upstreamOf(vars)
	if err != nil {
		return nil, err
	}
	noProxy, ok := vars["no_proxy"]
	if !ok || noProxy == "" {
		noProxy = vars["NO_PROXY"]
	}
	// Only the exceptions are asked of it: the URL stands for the real one.
	const some = "http://proxy.invalid"
	applies := (&httpproxy.Config{HTTPSProxy: some, NoProxy: noProxy}).ProxyFunc()
	return func(t Target) (*Upstream, error) {
		p, err := applies(&url.URL{Scheme: "https", Host: t.String()})
		if err != nil {
			return nil, errors.New("proxycore: the proxy variables could not be evaluated")
		}
		// The upstream itself is never direct: through it anything can be reached.
		// As a target through itself it is refused.
		if p == nil && !u.names(t) {
			return nil, nil
		}
		return u, nil
	}, nil
}

// upstreamOf gives the proxy that the variables name.
func upstreamOf(vars map[string]string) (*Upstream, error) {
	var found *Upstream
	for _, name := range []string{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} {
		value, ok := vars[name]
		if !ok {
			continue
		}
		if value != "" && !strings.Contains(value, "://") {
			value = "http://" + value
		}
		u, problem := parseUpstream(value)
		if problem != "" {
			return nil, errors.New("proxycore: the environment variable " + name + ": " + problem)
		}
		if found == nil {
			found = u
		}
	}
	if found == nil {
		return nil, errors.New("proxycore: the environment names no upstream: set HTTPS_PROXY or ALL_PROXY (HTTP_PROXY is for plain HTTP, which is not proxied)")
	}
	return found, nil
}

// names reports whether t is the upstream itself, as far as its spelling says. All of
// loopback is one host, because a proxy may listen on all of it.
func (u *Upstream) names(t Target) bool {
	if u.host == "" || u.port != t.Port {
		return false
	}
	host := t.Host
	if t.Addr.IsValid() {
		host = t.Addr.String()
	}
	return u.host == host || isThisHost(u.host) && isThisHost(host)
}

// isThisHost reports whether host, a canonical name or an address, is loopback.
func isThisHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return isLocalhost(host) || err == nil && isSelf(a)
}
