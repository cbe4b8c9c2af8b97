// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// squidHead is what does not depend on the policy: nothing is cached or written to
// disk, no helper runs, malformed heads are not repaired where that can be said, and
// clients' names are not looked up (the two "extras"). The shorter of the times
// for which answers of the name server are kept is also the least: the access lists
// and the dial are to see the same answer.
const squidHead = `http_port 127.0.0.1:{port}
visible_hostname proxy.invalid
pid_filename none
coredump_dir none
cache_log /dev/null
access_log none
cache deny all
cache_mem 0 MB
netdb_filename none
pinger_enable off
via off
forwarded_for delete
positive_dns_ttl 1 minute
negative_dns_ttl 5 seconds
dns_timeout 5 seconds
connect_timeout 10 seconds
forward_max_tries 3
connect_retries 0
request_header_max_size 8 KB
shutdown_lifetime 0 seconds
half_closed_clients on
relaxed_header_parser off
httpd_suppress_version_string on
url_rewrite_extras "%>a"
store_id_extras "%>a"
`

// squidGuards are refused whatever the policy: methods other than CONNECT, what is
// no host, no Host field, a body.
const squidGuards = `
acl CONNECT method CONNECT
# An address in its usual spelling. Squid reads others as addresses too: they are refused as numbers.
acl literal dstdom_regex -n ^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ :
acl name dstdom_regex -n -i ^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?$
acl long-label dstdom_regex -n [^.]{64}
acl short dstdom_regex -n ^.{1,253}$
acl number dstdom_regex -n -i ^` + presetrules.Number + `\.?$
# Squid overwrites the Host field by the target, so only its absence can be seen.
acl host-field req_header Host .
acl body req_header Transfer-Encoding .
acl body-length req_header Content-Length [^0]
acl own-port port {port}
acl literal-4 dstdom_regex -n \.
acl literal-6 dstdom_regex -n :
acl loopback-4 dst 127.0.0.0/8 0.0.0.0
acl loopback-6 dst ::1 ::

http_access deny !CONNECT
deny_info 405:ERR_ACCESS_DENIED CONNECT
reply_header_add Allow "CONNECT" !CONNECT
http_access deny !literal !name
deny_info 400:ERR_ACCESS_DENIED name
http_access deny !literal long-label
deny_info 400:ERR_ACCESS_DENIED long-label
http_access deny !short
deny_info 400:ERR_ACCESS_DENIED short
http_access deny !literal number
http_access deny !host-field
deny_info 400:ERR_ACCESS_DENIED host-field
http_access deny body
deny_info 400:ERR_ACCESS_DENIED body
http_access deny body-length
deny_info 400:ERR_ACCESS_DENIED body-length
`

// squidLocalhost keeps names of this machine from being looked up.
const squidLocalhost = `acl localhost-name dstdom_regex -n -i ^(.*\.)?localhost\.?$
http_access deny localhost-name
`

// squid writes a configuration.
type squid struct {
	*rendering
	b strings.Builder
}

func renderSquid(r *rendering) Spec {
	s := &squid{rendering: r}
	s.b.WriteString(squidHead)
	s.line("request_start_timeout %d seconds\nrequest_timeout %d seconds", r.headSeconds(), r.headSeconds())
	s.parent()
	s.b.WriteString(squidGuards)
	if r.policy.Unfiltered {
		s.authentication()
		s.line("http_access allow all")
	} else {
		s.check()
		s.filter()
	}
	// The name of the service is that of its shared memory, which must not be anybody else's.
	service := "sallyport" + r.mark + "{port}"
	return Spec{
		// -N: no daemon. -d 1: what is serious goes to stderr as well.
		Argv:   []string{"", "-N", "-d", "1", "-n", service, "-f", "{config}"},
		Config: s.b.String(),
		// It would take two seconds to end, whatever its shutdown_lifetime, and has nothing to save.
		StopGrace: -1,
		leftovers: sharedMemory(service),
	}
}

// line appends one directive.
func (s *squid) line(format string, args ...any) { fmt.Fprintf(&s.b, format+"\n", args...) }

// parent sends everything to the upstream, and nothing past it.
func (s *squid) parent() {
	u := s.upstream
	if u == nil {
		return
	}
	login := ""
	if u.user != "" {
		login = " login=" + percentAll(u.user) + ":" + percentAll(u.password)
	}
	s.line("cache_peer %s parent %d 0 no-query no-digest no-netdb-exchange default name=upstream%s", u.host, u.port, login)
	s.line("never_direct allow all\nnonhierarchical_direct off")
}

// authentication compares the field itself: Squid's helpers would run as the user
// that Squid becomes when root starts it, who cannot read our files.
func (s *squid) authentication() {
	s.line(`
acl known req_header Proxy-Authorization ^[Bb][Aa][Ss][Ii][Cc][[:space:]]+%s$
http_access deny !known
deny_info 407:ERR_CACHE_ACCESS_DENIED known
reply_header_add Proxy-Authenticate "Basic realm=\"sallyport\"" !known`, s.secret.basic())
}

// check refuses what Squid cannot do.
func (s *squid) check() {
	if s.upstream != nil && !s.policy.GuardElsewhere {
		for _, r := range presetrules.Names(s.rules.Allow) {
			s.refuse(r.Pattern, "with an upstream Squid sends the name on, and nobody here judges the addresses it gets there; set GuardElsewhere if the upstream guards them")
		}
	}
	s.refuseLocalhost()
	addresses := presetrules.Addresses(s.rules.Allow)
	for _, d := range presetrules.Addresses(s.rules.Deny) {
		for _, a := range addresses {
			scattered := slices.ContainsFunc(proxycore.ScatteredBlocks(), a.Prefix.Overlaps)
			if d.Prefix.Addr().Is4() && a.Prefix.Addr().Is6() && scattered {
				s.refuse(d.Pattern, "the allow pattern "+a.Pattern+" admits addresses that carry IPv4 addresses where no prefix finds them; allow a narrower one")
			}
		}
	}
}

// filter writes the access lists. Names are judged first, and without looking them
// up (-n): only one that is listed is resolved. An access list of addresses
// matches when any address of the name is in it, so refusing by one refuses for
// any answer; therefore what may not be is listed, never what may.
func (s *squid) filter() {
	s.b.WriteString(squidLocalhost)
	s.metadata()
	deniedNames := s.names("deny", s.rules.Deny)
	if deniedNames != "" {
		s.line("http_access deny %s", deniedNames)
	}
	deniedAddresses := s.deniedAddresses()
	s.access("deny literal", deniedAddresses)
	s.literals()
	listed := s.names("allow", s.rules.Allow)
	if listed == "" {
		s.line("http_access deny all")
		return
	}
	s.line("http_access deny !%s", listed)
	if s.upstream == nil {
		s.line("acl resolved dst all\nhttp_access deny !resolved\ndeny_info 502:ERR_DNS_FAIL resolved")
		s.line("http_access deny own-port loopback-4\nhttp_access deny own-port loopback-6")
		s.guard()
	}
	s.access("deny", deniedAddresses)
	s.line("http_access allow all")
}

// access writes one line for each combination of lists.
func (s *squid) access(action string, lists []string) {
	for _, l := range lists {
		s.line("http_access %s %s", action, l)
	}
}

// names writes the lists of one side, one for each set of ports, and returns the
// name of the list that joins them, "" for none.
func (s *squid) names(side string, rules []presetrules.Rule) string {
	rules = presetrules.Names(rules)
	groups := map[string][]presetrules.Rule{}
	var order []string
	for _, r := range rules {
		ports := portList(r.Ports)
		if groups[ports] == nil {
			order = append(order, ports)
		}
		groups[ports] = append(groups[ports], r)
	}
	var lists []string
	for i, ports := range order {
		id := fmt.Sprintf("%s-names-%d", side, i)
		for _, r := range groups[ports] {
			regexp := "^" + presetrules.NameRegexp(r) + `\.?$`
			if side == "deny" && r.Form == proxycore.FormAnyName {
				regexp = "." // addresses too
			}
			s.line("acl %s-host dstdom_regex -n -i %s", id, regexp)
		}
		s.line("acl %s-port port %s\nacl %s all-of %s-host %s-port", id, ports, id, id, id)
		lists = append(lists, id)
	}
	if len(lists) == 0 {
		return ""
	}
	s.line("acl %s-names any-of %s", side, strings.Join(lists, " "))
	return side + "-names"
}

// portList returns ports as a list of Squid's.
func portList(ports []proxycore.PortRange) string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = presetrules.PortText(p)
	}
	return strings.Join(texts, " ")
}

// metadata refuses the names under which clouds hand out credentials, unless a
// pattern is that very name.
func (s *squid) metadata() {
	for i, host := range proxycore.MetadataNames() {
		var ports []proxycore.PortRange
		for _, r := range s.rules.Allow {
			if r.Form == proxycore.FormName && r.Host == host {
				ports = append(ports, r.Ports...)
			}
		}
		s.line(`acl metadata-%d dstdom_regex -n -i ^%s\.?$`, i, presetrules.Quote(host))
		if ports == nil {
			s.line("http_access deny metadata-%d", i)
			continue
		}
		s.line("acl metadata-%d-port port %s\nhttp_access deny metadata-%d !metadata-%d-port", i, portList(ports), i, i)
	}
}

// deniedAddresses writes a list for each deny pattern about addresses and returns
// what refuses by it.
func (s *squid) deniedAddresses() []string {
	var lists []string
	for i, r := range presetrules.Addresses(s.rules.Deny) {
		id := fmt.Sprintf("deny-addresses-%d", i)
		s.line("acl %s-port port %s", id, portList(r.Ports))
		for _, part := range s.spans(id, presetrules.Denied(r.Prefix)) {
			lists = append(lists, id+"-port "+part)
		}
	}
	return lists
}

// literals judges addresses that are asked for themselves.
func (s *squid) literals() {
	var lists []string
	for i, r := range presetrules.Addresses(s.rules.Allow) {
		id := fmt.Sprintf("allow-addresses-%d", i)
		s.line("acl %s-port port %s", id, portList(r.Ports))
		for _, part := range s.spans(id, presetrules.Literal(r.Prefix)) {
			// The family is that of the text: to Squid 0.0.0.0 is less than any address.
			lists = append(lists, "literal literal"+part[len(id):]+" "+id+"-port "+part)
		}
	}
	if len(lists) > 0 {
		// Not to itself: it could not tell such a request from a client's.
		s.line("http_access deny literal own-port loopback-4\nhttp_access deny literal own-port loopback-6")
	}
	s.access("allow", lists)
	s.line("http_access deny literal")
}

// guard refuses names with a special-purpose address, but for those that an allow
// pattern admits on the port.
func (s *squid) guard() {
	addresses := presetrules.Addresses(s.rules.Allow)
	for i, class := range presetrules.PortClasses(addresses) {
		var admitted []netip.Prefix
		for _, r := range addresses {
			if presetrules.AdmitsPort(r, class.First) {
				admitted = append(admitted, r.Prefix)
			}
		}
		id := fmt.Sprintf("guarded-%d", i)
		s.line("acl %s-port port %s", id, presetrules.PortText(class))
		for _, part := range s.spans(id, presetrules.Guarded(admitted)) {
			s.line("http_access deny %s-port %s", id, part)
		}
	}
}

// spans writes a list of addresses for each family and returns the names of the two,
// or of the one that is not empty. In one list Squid would take 0.0.0.0 for a part of
// IPv6 spans, and drop these.
func (s *squid) spans(id string, spans []presetrules.Span) []string {
	var parts []string
	for _, span := range spans {
		part := id + "-6"
		if span.First.Is4() {
			part = id + "-4"
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
		if span.First == span.Last {
			s.line("acl %s dst %s", part, span.First)
		} else if p := span.Prefixes(); len(p) == 1 {
			s.line("acl %s dst %s", part, p[0])
		} else {
			s.line("acl %s dst %s-%s", part, span.First, span.Last)
		}
	}
	return parts
}
