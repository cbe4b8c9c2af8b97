// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package squid

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/rules"
)

// special are the special-purpose blocks of the IANA registries. IPv4-mapped addresses are missing on
// purpose: Squid keeps every IPv4 address in that form, so the block would hold all of them.
const special = `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 ` +
	`192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ` +
	`::/128 ::1/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8`

// head is what does not depend on the policy: no cache of any kind, no helper, nothing written but to the
// log, no leniency towards malformed heads, and no look-up of the client's name (the two "extras").
const head = `http_port 127.0.0.1:${service_name}
visible_hostname proxy.invalid
pid_filename none
cache_log /dev/null
access_log none
cache deny all
cache_mem 0 MB
netdb_filename none
pinger_enable off
hosts_file none
via off
forwarded_for delete
positive_dns_ttl 1 second
negative_dns_ttl 1 second
dns_timeout 5 seconds
connect_timeout 10 seconds
forward_max_tries 3
connect_retries 0
request_header_max_size 8 KB
shutdown_lifetime 0 seconds
half_closed_clients on
relaxed_header_parser off
url_rewrite_extras "%>a"
store_id_extras "%>a"
`

// guards are the lists that every policy needs, and what is refused under every policy: methods other than
// CONNECT, what is no host name, no Host field, a body, and Squid itself.
const guards = `acl CONNECT method CONNECT
acl special dst ` + special + `
# An address in its canonical spelling; any other spelling is a name, and on no list.
acl literal dstdom_regex -n ^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ :
acl name dstdom_regex -n -i ^([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?$
acl short dstdom_regex -n ^.{1,253}$
# Squid overwrites the Host field by the target, so only its absence can be seen.
acl host-field req_header Host .
acl body req_header Transfer-Encoding .
acl body-length req_header Content-Length [^0]
acl localhost-name dstdom_regex -n -i (^|\.)localhost\.?$
acl own-port port ${service_name}

http_access deny !CONNECT
deny_info 405:ERR_ACCESS_DENIED CONNECT
reply_header_add Allow "CONNECT" !CONNECT
http_access deny !literal !name
deny_info 400:ERR_ACCESS_DENIED name
http_access deny !short
deny_info 400:ERR_ACCESS_DENIED short
http_access deny !host-field
deny_info 400:ERR_ACCESS_DENIED host-field
http_access deny body
deny_info 400:ERR_ACCESS_DENIED body
http_access deny body-length
deny_info 400:ERR_ACCESS_DENIED body-length
http_access deny localhost-name
http_access deny literal own-port special
`

// configFile writes the policy as access lists. Names are matched without looking them up (-n) and first;
// only a listed name is resolved, and refused when an address is special and not admitted.
func configFile(c conformance.Config) (string, error) {
	allow, err := rules.ParseAll(c.Allow)
	if err != nil {
		return "", err
	}
	deny, err := rules.ParseAll(c.Deny)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(head)
	if c.HeadTimeout > 0 {
		seconds := int((c.HeadTimeout + time.Second - 1) / time.Second)
		fmt.Fprintf(&b, "request_start_timeout %d seconds\nrequest_timeout %d seconds\n", seconds, seconds)
	}
	b.WriteString(guards)
	deniedNames, deniedAddresses := writeRules(&b, "deny", deny, "port 1-65535")
	listed, admitted := writeRules(&b, "allow", allow, "port 443 80")

	access := func(action, list string, more string) {
		if list != "" {
			fmt.Fprintf(&b, "http_access %s %s%s\n", action, list, more)
		}
	}
	access("deny", deniedNames, "")
	access("deny", deniedAddresses, " literal")
	access("allow", admitted, " literal")
	b.WriteString("http_access deny literal\n")
	if listed == "" {
		b.WriteString("http_access deny all\n")
		return b.String(), nil
	}
	b.WriteString("http_access deny !" + listed + "\nhttp_access deny own-port special\n")
	access("deny", deniedAddresses, "")
	if admitted == "" {
		b.WriteString("http_access deny special\n")
	} else {
		b.WriteString("http_access deny special !" + admitted + "\n")
	}
	b.WriteString("http_access allow all\n")
	return b.String(), nil
}

// writeRules writes one access list for each rule and returns the names of the lists that join those for
// names and those for addresses, "" where there are none.
func writeRules(b *strings.Builder, prefix string, all []rules.Rule, defaultPorts string) (names, addresses string) {
	var nameLists, addressLists []string
	for i, r := range all {
		id := fmt.Sprintf("%s%d", prefix, i)
		ports := defaultPorts
		if r.Ports != nil {
			ports = fmt.Sprintf("port %d-%d", r.Ports.First, r.Ports.Last)
		}
		fmt.Fprintf(b, "acl %s-port %s\n", id, ports)
		if r.Kind == rules.Address {
			fmt.Fprintf(b, "acl %s-target dst %s\n", id, r.Prefix)
			addressLists = append(addressLists, id)
		} else {
			fmt.Fprintf(b, "acl %s-target dstdom_regex -n -i %s\n", id, r.Regexp())
			nameLists = append(nameLists, id)
		}
		fmt.Fprintf(b, "acl %s all-of %s-target %s-port\n", id, id, id)
	}
	join := func(name string, lists []string) string {
		if len(lists) == 0 {
			return ""
		}
		fmt.Fprintf(b, "acl %s any-of %s\n", name, strings.Join(lists, " "))
		return name
	}
	return join(prefix+"-names", nameLists), join(prefix+"-addresses", addressLists)
}
