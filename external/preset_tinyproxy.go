// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// tinyproxyHead is what does not depend on the policy. Timeout is the only limit of
// time there is: it also ends tunnels that are idle for so long.
const tinyproxyHead = `Listen 127.0.0.1
Port {port}
Allow 127.0.0.1
Timeout 600
MaxClients 1024
LogLevel Warning
DisableViaHeader Yes
`

// tinyproxyFilter makes the filter see the target as the client wrote it: of a
// CONNECT that is host:port, of a plain request a URL, which no line matches.
const tinyproxyFilter = `Filter "{dir}/filter"
FilterURLs On
FilterExtended On
FilterDefaultDeny Yes
`

const (
	// tinyproxyLine is the longest line of a filter that is read as one.
	tinyproxyLine = 480
	// tinyproxyPorts is how many ports of a pattern are written out.
	tinyproxyPorts = 4096
)

func renderTinyproxy(r *rendering) Spec {
	var b strings.Builder
	b.WriteString(tinyproxyHead)
	if u := r.upstream; u != nil {
		login := ""
		if u.user != "" {
			login = u.user + ":" + u.password + "@"
		}
		if strings.Trim(u.user+u.password, plainSecret) != "" {
			r.refuse("Upstream", "credentials with characters other than letters, digits and -._~+= would be read as something else")
		}
		fmt.Fprintf(&b, "Upstream http %s%s\n", login, u.hostPort())
	}
	// -d: stay in the foreground.
	spec := Spec{Argv: []string{"", "-d", "-c", "{config}"}, Env: []string{ownDomain}}
	if r.secret != nil {
		fmt.Fprintf(&b, "BasicAuth %s %s\n", r.secret.user, r.secret.password)
	} else {
		b.WriteString(tinyproxyFilter)
		spec.Files = map[string]string{"filter": tinyproxyLines(r)}
	}
	spec.Config = b.String()
	return spec
}

// ownDomain keeps the C library from appending the search domains of resolv.conf: a
// name means itself. resolv.conf(5)
const ownDomain = "LOCALDOMAIN=."

// plainSecret are the characters that are themselves in every configuration file.
const plainSecret = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+="

// tinyproxyLines writes the filter: one regular expression a line, of which one has
// to match.
func tinyproxyLines(r *rendering) string {
	r.refuseLocalhost()
	r.refuseUnjudged()
	r.refuseDenials("it has no deny rules beside its allow list")
	// Without a line there would be no filter, so there is one that nothing matches.
	b := strings.Builder{}
	b.WriteString("x^y\n")
	for _, rule := range r.rules.Allow {
		for _, host := range r.tinyproxyHosts(rule) {
			r.tinyproxyTargets(&b, rule, host)
		}
	}
	return b.String()
}

// tinyproxyHosts returns regular expressions for the hosts of a rule.
func (r *rendering) tinyproxyHosts(rule presetrules.Rule) []string {
	switch {
	case rule.Form == proxycore.FormAnyName:
		r.refuse(rule.Pattern, "it cannot except the names of metadata services from it; list the names")
	case rule.Form != proxycore.FormAddresses:
		return []string{presetrules.NameRegexp(rule) + `\.?`}
	case rule.Prefix.Addr().Is6():
		r.refuse(rule.Pattern, "it compares text, and an IPv6 address has many spellings")
	default:
		var hosts []string
		for _, span := range presetrules.Literal(rule.Prefix) {
			for _, p := range span.Prefixes() {
				hosts = append(hosts, presetrules.AddressRegexp(p))
			}
		}
		return hosts
	}
	return nil
}

// tinyproxyTargets writes lines for one host and all ports, none too long.
func (r *rendering) tinyproxyTargets(b *strings.Builder, rule presetrules.Rule, host string) {
	ports, ok := presetrules.PortRegexps(rule.Ports, tinyproxyPorts)
	if !ok {
		r.refuse(rule.Pattern, fmt.Sprintf("it knows no ranges of ports, and more than %d are not written out; allow fewer, or :*", tinyproxyPorts))
		return
	}
	room := tinyproxyLine - len("^:()$\n") - len(host)
	for len(ports) > 0 {
		n, size := 1, len(ports[0])
		for n < len(ports) && size+1+len(ports[n]) <= room {
			size += 1 + len(ports[n])
			n++
		}
		if size > room {
			r.refuse(rule.Pattern, "its line of the filter would be longer than is read as one")
			return
		}
		fmt.Fprintf(b, "^%s:(%s)$\n", host, strings.Join(ports[:n], "|"))
		ports = ports[n:]
	}
}
