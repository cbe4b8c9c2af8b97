// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// privoxyHead is what does not depend on the policy: nothing can be edited or
// toggled from the client's side, and there is no way past a block.
const privoxyHead = `listen-address 127.0.0.1:{port}
templdir /etc/privoxy/templates
actionsfile {dir}/policy.action
filterfile {dir}/policy.filter
toggle 1
enable-remote-toggle 0
enable-remote-http-toggle 0
enable-edit-actions 0
enforce-blocks 1
allow-cgi-request-crunching 1
accept-intercepted-requests 0
forwarded-connect-retries 0
socket-timeout 600
keep-alive-timeout 600
max-client-connections 256
debug 8192
`

// privoxyTaggers mark a request by its method, and one whose target has the usual form.
// A client can forge a tag by a field that looks like a request line, so tags only
// ever block.
const privoxyTaggers = "CLIENT-HEADER-TAGGER: method the method of the request\n" +
	`s@^([^ ]+) [^ ]+ HTTP/1\.[01]$@method:$1@` + "\n" +
	"CLIENT-HEADER-TAGGER: form the form of the target\n" +
	`s@^CONNECT (?:[a-z0-9._-]+|\[[0-9a-f.]*:[0-9a-f:.]+\]):[1-9][0-9]{0,4} HTTP/1\.[01]$@form:usual@i` + "\n"

const (
	privoxyBlock   = "{+block{not on the list}}\n"
	privoxyUnblock = "{-block}\n"
)

func renderPrivoxy(r *rendering) Spec {
	config := privoxyHead
	if u := r.upstream; u != nil {
		if u.user != "" {
			r.refuse("Upstream", "it cannot authenticate itself to an upstream; take another preset, or an upstream that asks for nothing")
		}
		config += fmt.Sprintf("forward / %s\n", u.hostPort())
	}
	actions := "{-block +limit-connect{1-65535} +client-header-tagger{method} +client-header-tagger{form}}\n/\n"
	if !r.policy.Unfiltered {
		actions += r.privoxyActions()
	}
	r.secret = nil // there is nothing it could ask them with
	return Spec{
		Argv:   []string{"", "--no-daemon", "{config}"},
		Env:    []string{ownDomain},
		Config: config,
		Files: map[string]string{
			"policy.action": actions + "{+block{CONNECT only}}\nTAG:^method:(?!CONNECT$)\n" +
				"{+block{no host and port}}\nNO-REQUEST-TAG:^form:usual$\n",
			"policy.filter": privoxyTaggers,
		},
	}
}

// privoxyActions translates the policy. The last pattern that matches decides.
func (r *rendering) privoxyActions() string {
	r.refuseLocalhost()
	r.refuseUnjudged()
	var wide, narrow strings.Builder
	allow := slices.Clone(r.rules.Allow)
	// What is deeper comes first: the name that a wider pattern admits and a deeper one
	// does not is unblocked again.
	slices.SortStableFunc(allow, func(a, b presetrules.Rule) int {
		return strings.Count(b.Host, ".") - strings.Count(a.Host, ".")
	})
	for _, rule := range allow {
		switch rule.Form {
		case proxycore.FormAnyName:
			r.refuse(rule.Pattern, "it cannot tell names from addresses; list the names")
		case proxycore.FormAddresses:
			if !rule.Prefix.Addr().Is4() || !rule.Prefix.IsSingleIP() {
				r.refuse(rule.Pattern, "it compares text, and knows single IPv4 addresses only")
			}
			narrow.WriteString(privoxyUnblock + privoxyPattern(rule.Prefix.Addr().String(), rule))
		case proxycore.FormBelow: // its words for that admit the name itself as well
			wide.WriteString(privoxyUnblock + privoxyPattern("."+rule.Host, rule) + privoxyBlock + rule.Host + "/\n")
		case proxycore.FormOneBelow:
			narrow.WriteString(privoxyUnblock + privoxyPattern("?*."+rule.Host, rule))
		default:
			narrow.WriteString(privoxyUnblock + privoxyPattern(rule.Host, rule))
		}
	}
	return privoxyBlock + "/\n" + wide.String() + narrow.String() + r.privoxyDenials()
}

// privoxyDenials blocks by the deny patterns.
func (r *rendering) privoxyDenials() string {
	var b strings.Builder
	for _, d := range r.rules.Deny {
		meets := func(a presetrules.Rule) bool { return presetrules.Meet(a, d) }
		switch {
		case !slices.ContainsFunc(r.rules.Allow, meets):
		case d.Form == proxycore.FormAnyName:
			b.WriteString(privoxyBlock + privoxyPattern("", d))
		case d.Form == proxycore.FormAddresses:
			r.refuse(d.Pattern, "it does not judge the addresses that a name has")
		case d.Form == proxycore.FormBelow:
			apex := d
			apex.Form = proxycore.FormName
			if slices.ContainsFunc(r.rules.Allow, func(a presetrules.Rule) bool { return presetrules.Meet(a, apex) }) {
				r.refuse(d.Pattern, "it cannot block what is below a name and not the name; deny both, or *."+d.Host)
			}
			b.WriteString(privoxyBlock + privoxyPattern("."+d.Host, d))
		case d.Form == proxycore.FormOneBelow:
			b.WriteString(privoxyBlock + privoxyPattern("?*."+d.Host, d))
		default:
			b.WriteString(privoxyBlock + privoxyPattern(d.Host, d))
		}
	}
	return b.String()
}

// privoxyPattern is one line of an actions file.
func privoxyPattern(host string, rule presetrules.Rule) string {
	ports := make([]string, len(rule.Ports))
	for i, p := range rule.Ports {
		ports[i] = presetrules.PortText(p)
	}
	return host + ":" + strings.Join(ports, ",") + "/\n"
}
