// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package summary

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

func deny(host string, port uint16, reason proxycore.Reason) proxycore.Record {
	return proxycore.Record{Method: "CONNECT", Host: host, Port: port, Decision: proxycore.DecisionDeny, Reason: reason}
}

// written counts the records and returns what is printed.
func written(t *testing.T, records ...proxycore.Record) string {
	t.Helper()
	var c Counter
	for _, r := range records {
		if err := c.Record(r); err != nil {
			t.Fatalf("Record: %v", err)
		}
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return b.String()
}

func TestNothingDenied(t *testing.T) {
	t.Parallel()
	got := written(t, proxycore.Record{Host: "a.com", Decision: proxycore.DecisionAllow},
		proxycore.Record{Host: "a.com", Decision: proxycore.DecisionAllow, Reason: proxycore.PolicyClosed})
	if want := "sallyport: nothing was denied\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func fail(host string, port uint16, reason proxycore.Reason) proxycore.Record {
	r := deny(host, port, reason)
	r.Decision = proxycore.DecisionAllow
	return r
}

// TestFailures: a request that was allowed and came to nothing is no denial, and no
// option would allow it; the table tells the two apart.
func TestFailures(t *testing.T) {
	t.Parallel()
	dns := fail("b.com", 443, proxycore.DNSError)
	for _, tt := range []struct {
		name    string
		records []proxycore.Record
		want    string
	}{
		{"alone", []proxycore.Record{fail("a.com", 22, proxycore.DialTimeout)}, "sallyport: nothing was denied, but 1 allowed request failed\n" +
			"  COUNT  TARGET    RESULT  REASON        WHAT HELPS\n" +
			"  1      a.com:22  failed  dial_timeout  nothing answers: check the host, the port and firewalls on the way\n"},
		{"with denials", []proxycore.Record{dns, dns, deny("c.com", 443, proxycore.HostNotAllowed), fail("localhost", 5432, proxycore.DialError),
			fail("203.0.113.7", 443, proxycore.DialError)},
			"sallyport: 1 request was denied, and 4 allowed requests failed\n" +
				"  COUNT  TARGET           RESULT  REASON            WHAT HELPS\n" +
				"  1      c.com:443        denied  host_not_allowed  --allow c.com\n" +
				"  2      b.com:443        failed  dns_error         check the name and the name server, or --resolve b.com=ADDRESS\n" +
				"  1      203.0.113.7:443  failed  dial_error        no connection: check that the host serves this port, and the network\n" +
				"  1      localhost:5432   failed  dial_error        nothing listens there on the host, whose loopback this is; a server inside the sandbox is reached without the proxy\n"},
	} {
		if got := written(t, tt.records...); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestUpstreamFailures: what failed at or behind an upstream is told with what that answered.
func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		reason proxycore.Reason
		status int
		want   string
	}{
		{proxycore.DialError, 0, "the upstream http://p:3128 gave no answer of a proxy"},
		{proxycore.DialTimeout, 0, "the upstream http://p:3128 gave no answer in time"},
		{proxycore.DialError, 407, "the upstream http://p:3128 answered 407: it wants credentials, or other ones: --upstream with --upstream-credentials"},
		{proxycore.DialError, 501, "the upstream http://p:3128 answered 501: it knows no CONNECT; check that its address is that of a proxy that tunnels"},
		{proxycore.DialError, 403, "the upstream http://p:3128 answered 403: it does not allow this host"},
		{proxycore.DialError, 503, "the upstream http://p:3128 answered 503: see its own log"},
		{proxycore.DNSError, 0, "check the name and the name server"},
	} {
		r := fail("a.com", 443, tt.reason)
		r.Upstream, r.UpstreamStatus = "http://p:3128", tt.status
		if got := written(t, r); !strings.Contains(got, tt.want) {
			t.Errorf("%s %d: got\n%s, want %q in it", tt.reason, tt.status, got, tt.want)
		}
	}
	ok, refused := fail("a.com", 443, proxycore.DialError), fail("a.com", 443, proxycore.DialError)
	ok.Upstream, refused.Upstream, refused.UpstreamStatus = "http://p", "http://p", 403
	if got := written(t, ok, refused, refused); strings.Count(got, "a.com:443") != 2 {
		t.Errorf("got\n%s, want a row for each answer", got)
	}
}

func TestTableIsSortedByCount(t *testing.T) {
	t.Parallel()
	b := deny("b.com", 443, proxycore.HostNotAllowed)
	got := written(t, deny("c.com", 443, proxycore.HostNotAllowed), deny("a.com", 443, proxycore.HostNotAllowed), b, b)
	want := "sallyport: 4 requests were denied\n" +
		"  COUNT  TARGET     RESULT  REASON            WHAT HELPS\n" +
		"  2      b.com:443  denied  host_not_allowed  --allow b.com\n" +
		"  1      a.com:443  denied  host_not_allowed  --allow a.com\n" +
		"  1      c.com:443  denied  host_not_allowed  --allow c.com\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	ruled := deny("a.com", 443, proxycore.DeniedByRule)
	ruled.Rule = "**.com"
	get := deny("", 0, proxycore.MethodNotAllowed)
	get.Method = "GET"
	for _, tt := range []struct {
		name   string
		record proxycore.Record
		want   []string
	}{
		{"https", deny("a.com", 443, proxycore.HostNotAllowed), []string{" a.com:443 ", "--allow a.com\n"}},
		{"http", deny("a.com", 80, proxycore.HostNotAllowed), []string{" a.com:80 ", "--allow a.com\n"}},
		{"other port", deny("a.com", 22, proxycore.PortNotAllowed), []string{" a.com:22 ", "port_not_allowed", "--allow a.com:22\n"}},
		{"IPv4 literal", deny("10.0.0.1", 5432, proxycore.AddressNotAllowed), []string{" 10.0.0.1:5432 ", "--allow 10.0.0.1:5432\n"}},
		{"IPv6 literal", deny("2001:db8::1", 8443, proxycore.AddressNotAllowed), []string{" [2001:db8::1]:8443 ", "--allow '[2001:db8::1]:8443'\n"}},
		{"private answer", deny("a.com", 443, proxycore.AddressNotAllowed), []string{"--allow ADDRESS:443, with the address it resolves to\n"}},
		{"deny rule", ruled, []string{"remove the deny rule **.com\n"}},
		{"method", get, []string{"(GET request)", "method_not_allowed", "ask with https://"}},
		{"malformed", deny("", 0, proxycore.MalformedRequest), []string{"(not a valid target)", "malformed_request"}},
		{"name that no pattern can admit", deny("bad name", 443, proxycore.HostNotAllowed), []string{"  -\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := written(t, tt.record)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("got\n%s\nwant it to contain %q", got, want)
				}
			}
		})
	}
}

// ask is a query for a name that was refused.
func ask(host string, reason proxycore.Reason) proxycore.Record {
	r := deny(host, 0, reason)
	r.Method = proxycore.MethodDNS
	return r
}

// TestQueries: nobody knows the port that a name is wanted for, so none is shown or proposed; and a
// resolver that goes through a search list has asked for one name, not for many.
func TestQueries(t *testing.T) {
	t.Parallel()
	var c Counter
	c.Search = []string{"corp.example", "lan"}
	full := ask("many.example", proxycore.LimitExceeded)
	ruled := ask("ruled.example", proxycore.DeniedByRule)
	ruled.Rule = "ruled.example"
	for _, r := range []proxycore.Record{
		deny("denied.example", 443, proxycore.HostNotAllowed),
		ask("denied.example", proxycore.HostNotAllowed), ask("denied.example", proxycore.HostNotAllowed),
		ask("denied.example.corp.example", proxycore.HostNotAllowed), ask("denied.example.lan", proxycore.HostNotAllowed),
		ask("denied.example.com", proxycore.HostNotAllowed), // not of the list
		ask("db.lan", proxycore.HostNotAllowed), ask("db", proxycore.HostNotAllowed),
		ask("allowed.example.lan", proxycore.HostNotAllowed),
		ask("7.2.0.192.in-addr.arpa", proxycore.HostNotAllowed), full, ruled,
	} {
		if err := c.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	const port = "; write HOST:PORT for other ports than 80 and 443\n"
	want := "sallyport: 1 request and 11 name queries were denied\n" +
		"  COUNT  TARGET                        RESULT  REASON            WHAT HELPS\n" +
		"  4      denied.example (DNS)          denied  host_not_allowed  --allow denied.example" + port +
		"  1      7.2.0.192.in-addr.arpa (DNS)  denied  host_not_allowed  nothing is needed: it asks for the name of an address\n" +
		"  1      allowed.example.lan (DNS)     denied  host_not_allowed  nothing is needed, if allowed.example is allowed: the rest is of resolv.conf's search list\n" +
		"  1      db (DNS)                      denied  host_not_allowed  --allow db" + port +
		"  1      db.lan (DNS)                  denied  host_not_allowed  --allow db.lan" + port +
		"  1      denied.example:443            denied  host_not_allowed  --allow denied.example\n" +
		"  1      denied.example.com (DNS)      denied  host_not_allowed  --allow denied.example.com" + port +
		"  1      many.example (DNS)            denied  limit_exceeded    look up fewer names: this is the limit of a sandbox\n" +
		"  1      ruled.example (DNS)           denied  denied_by_rule    remove the deny rule ruled.example\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := written(t, ask("a.com", proxycore.HostNotAllowed)), "sallyport: 1 name query was denied\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
}

func TestSearchDomains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ conf, want string }{
		{"", ""},
		{"nameserver 192.0.2.1\nsearch Corp.example lan. # mine\n", "corp.example lan"},
		{"search a.example\ndomain b.example\n", "b.example"}, // the last one counts
		{"search .\noptions ndots:5\n", ""},
	} {
		if got := strings.Join(SearchDomains(tt.conf), " "); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.conf, got, tt.want)
		}
	}
}

func TestNothingButPrintableASCII(t *testing.T) {
	t.Parallel()
	const hostile = "a\x00\x1b]0;x\a\r\n\t\x7f\u0085\u202e\U0001f600\xff"
	r := deny(hostile, 443, hostile)
	ruled := deny("a.com", 443, proxycore.DeniedByRule)
	ruled.Rule = hostile
	method := deny(hostile, 1, proxycore.MethodNotAllowed)
	method.Method = hostile
	got := written(t, r, ruled, method, deny(strings.Repeat("x", 5000), 1, proxycore.HostNotAllowed))
	for i := range len(got) {
		if got[i] != '\n' && (got[i] < 0x20 || got[i] >= 0x7f) {
			t.Errorf("byte %#x at %d of %q", got[i], i, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 6 {
		t.Errorf("got %d lines, want 6:\n%s", n, got)
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	var c Counter
	const n = maxTargets + 500
	for i := range n {
		_ = c.Record(deny(fmt.Sprintf("h%d.com", i), 443, proxycore.HostNotAllowed))
	}
	if len(c.counts) != maxTargets || c.Total() != n {
		t.Errorf("got %d targets and %d requests, want %d and %d", len(c.counts), c.Total(), maxTargets, n)
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(b.String(), "\n"), maxRows+3; got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
	if want := fmt.Sprintf("and %d requests to other targets", n-maxRows); !strings.Contains(b.String(), want) {
		t.Errorf("got no %q in\n%s", want, b.String())
	}
}
