// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package summary counts requests that were refused, or allowed and not carried out, and
// prints, when a run is over, which they were, how often, why, and what would help: for a
// refusal, the option that would have allowed it.
//
// What a sandboxed program asked for ends up on a person's terminal here, so
// nothing but printable ASCII is ever printed, and the number of targets kept
// is bounded. An option is proposed only if the filter, asked, says that it
// really would allow the target.
package summary

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/sallyport-dev/sallyport/bridge/internal/printable"
	"github.com/sallyport-dev/sallyport/proxycore"
)

const (
	// maxTargets bounds how many different refusals and failures are told apart.
	maxTargets = 1000
	// maxRows bounds how many of them are printed.
	maxRows = 50
	// maxTargetWidth bounds a printed target; names are at most 253 bytes.
	maxTargetWidth = 260
)

// key is what makes two requests the same row.
type key struct {
	failed bool // allowed, and then not resolved or not connected
	host   string
	port   uint16
	query  bool   // for the name host, whatever port that is wanted for
	method string // only where it is the reason
	reason proxycore.Reason
	rule   string

	upstream string // what a failed request went through, "" for nothing
	status   int    // what that answered, 0 for nothing
}

// Counter counts refusals and failures. The zero value is ready to use, and it is safe for
// concurrent use.
type Counter struct {
	// Search are the domains that resolvers append to names; see [SearchDomains]. They
	// ask for a denied name once for each, which are counted as queries for the name itself.
	Search []string

	mu     sync.Mutex
	counts map[key]int
	denied int // without queries
	asked  int // queries
	failed int
	others int // those beyond maxTargets different ones
}

// Record counts r if it was refused or failed. It never fails; the result is there for
// proxycore.Config.Record.
func (c *Counter) Record(r proxycore.Record) error {
	denied := r.Decision == proxycore.DecisionDeny
	if !denied && !Failed(r) {
		return nil
	}
	k := key{failed: !denied, host: r.Host, port: r.Port, reason: r.Reason, query: r.Method == proxycore.MethodDNS}
	if k.failed {
		k.upstream, k.status = r.Upstream, r.UpstreamStatus
	}
	switch r.Reason {
	case proxycore.DeniedByRule:
		k.rule = r.Rule
	case proxycore.MethodNotAllowed:
		k.method = r.Method
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case k.query:
		c.asked++
	case denied:
		c.denied++
	default:
		c.failed++
	}
	if _, known := c.counts[k]; !known && len(c.counts) >= maxTargets {
		c.others++
		return nil
	}
	if c.counts == nil {
		c.counts = make(map[key]int)
	}
	c.counts[k]++
	return nil
}

// Failed reports whether r was allowed but never got a connection.
func Failed(r proxycore.Record) bool {
	switch r.Reason {
	case proxycore.DNSError, proxycore.DialError, proxycore.DialTimeout:
		return r.Decision == proxycore.DecisionAllow
	}
	return false
}

// Total is how many requests were refused or failed.
func (c *Counter) Total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.denied + c.asked + c.failed
}

// Write prints the table to w, refusals first, the most frequent of them first, then by
// target; where there is nothing to tell it is one line.
func (c *Counter) Write(w io.Writer) error {
	c.mu.Lock()
	counts := make(map[key]int, len(c.counts))
	for k, n := range c.counts {
		counts[c.meant(k)] += n
	}
	head, others := headline(c.denied, c.asked, c.failed), c.others
	c.mu.Unlock()
	keys := slices.Collect(maps.Keys(counts))
	slices.SortFunc(keys, func(a, b key) int {
		if a.failed != b.failed {
			return cmp.Compare(boolInt(a.failed), boolInt(b.failed))
		}
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.host, b.host), cmp.Compare(a.port, b.port),
			cmp.Compare(boolInt(a.query), boolInt(b.query)), cmp.Compare(a.reason, b.reason), cmp.Compare(a.rule, b.rule), cmp.Compare(a.method, b.method),
			cmp.Compare(a.upstream, b.upstream), cmp.Compare(a.status, b.status))
	})
	var b strings.Builder
	fmt.Fprintf(&b, "sallyport: %s\n", head)
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(keys) > 0 {
		fmt.Fprintln(tw, "  COUNT\tTARGET\tRESULT\tREASON\tWHAT HELPS")
	}
	for _, k := range keys[:min(len(keys), maxRows)] {
		fmt.Fprintf(tw, "  %d\t%s\t%s\t%s\t%s\n", counts[k], k.target(), k.result(), printable.Text(string(k.reason)), printable.Text(k.advice(c.Search)))
	}
	tw.Flush()
	if len(keys) > maxRows {
		for _, k := range keys[maxRows:] {
			others += counts[k]
		}
	}
	if others > 0 {
		fmt.Fprintf(&b, "  and %s to other targets; --log FILE records every one\n", plural(others, "request", "requests"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// headline is the first line.
func headline(denied, asked, failed int) string {
	text, and := "nothing was denied", ", but "
	switch {
	case denied > 0 && asked > 0:
		text, and = plural(denied, "request", "requests")+" and "+plural(asked, "name query", "name queries")+" were denied", ", and "
	case denied > 0:
		text, and = plural(denied, "request was", "requests were")+" denied", ", and "
	case asked > 0:
		text, and = plural(asked, "name query was", "name queries were")+" denied", ", and "
	}
	if failed > 0 {
		text += and + plural(failed, "allowed request", "allowed requests") + " failed"
	}
	return text
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// result is the third column.
func (k key) result() string {
	if k.failed {
		return "failed"
	}
	return "denied"
}

// target is the second column.
func (k key) target() string {
	switch {
	case k.host == "" && k.reason == proxycore.MethodNotAllowed:
		return "(" + printable.Text(k.method) + " request)"
	case k.host == "":
		return "(not a valid target)"
	}
	text := k.host
	if !k.query {
		text = joinHostPort(k.host, k.port)
	}
	if text = printable.Text(text); len(text) > maxTargetWidth {
		text = text[:maxTargetWidth] + "..."
	}
	if k.query {
		text += " (DNS)"
	}
	return text
}

// advice is the last column: the option that would allow the target, or what
// else can be done.
func (k key) advice(search []string) string {
	if k.query {
		return k.adviceOnName(search)
	}
	if k.upstream != "" && k.reason != proxycore.DNSError {
		return k.askUpstream()
	}
	switch k.reason {
	case proxycore.HostNotAllowed, proxycore.PortNotAllowed:
		return k.allow()
	case proxycore.AddressNotAllowed:
		return k.allowAddress()
	case proxycore.DeniedByRule:
		return "remove the deny rule " + printable.Pattern(k.rule)
	case proxycore.MethodNotAllowed:
		return "ask with https://; nothing but CONNECT is forwarded"
	case proxycore.LimitExceeded:
		return "open fewer connections at once"
	case proxycore.MalformedRequest:
		return "the request is not valid"
	case proxycore.DNSError:
		return "check the name and the name server, or --resolve " + k.host + "=ADDRESS"
	case proxycore.DialError:
		return k.reach()
	case proxycore.DialTimeout:
		return "nothing answers: check the host, the port and firewalls on the way"
	}
	return "-"
}

// allow proposes the narrowest pattern for the target itself.
func (k key) allow() string {
	t, err := proxycore.ParseTarget(joinHostPort(k.host, k.port))
	if err != nil {
		return "-"
	}
	pattern := t.String()
	if k.port == 443 || k.port == 80 {
		pattern = strings.TrimSuffix(pattern, ":"+strconv.Itoa(int(k.port)))
	}
	if !admits(pattern, t) {
		return "-"
	}
	return "--allow " + quote(pattern)
}

// allowAddress proposes a pattern for an address. A name that resolved to a
// guarded address needs one for that address, which the record does not tell:
// what an internal name resolves to is not the sandbox's business.
func (k key) allowAddress() string {
	if _, err := netip.ParseAddr(k.host); err == nil {
		return k.allow()
	}
	return fmt.Sprintf("--allow ADDRESS:%d, with the address it resolves to", k.port)
}

// reach explains a connection that was refused. The sandbox has a loopback interface of
// its own, and a server there is easily meant by what leads to the host's.
func (k key) reach() string {
	addr, err := netip.ParseAddr(k.host)
	if err == nil && addr.Unmap().IsLoopback() || k.host == "localhost" || strings.HasSuffix(k.host, ".localhost") {
		return "nothing listens there on the host, whose loopback this is; a server inside the sandbox is reached without the proxy"
	}
	return "no connection: check that the host serves this port, and the network"
}

// askUpstream explains a failure of the proxy that the request went through, or behind it.
func (k key) askUpstream() string {
	who := "the upstream " + k.upstream
	if k.status != 0 {
		who += " answered " + strconv.Itoa(k.status)
	}
	switch {
	case k.status == 0 && k.reason == proxycore.DialTimeout:
		return who + " gave no answer in time: check that it runs, and that the host is up"
	case k.status == 0:
		return who + " gave no answer of a proxy: check that it runs, its address and its certificate"
	case k.status == 407:
		return who + ": it wants credentials, or other ones: --upstream with --upstream-credentials"
	case k.status == 405 || k.status == 501:
		return who + ": it knows no CONNECT; check that its address is that of a proxy that tunnels"
	case k.status == 403:
		return who + ": it does not allow this host"
	}
	return who + ": see its own log"
}

// admits reports whether a policy of nothing but pattern admits t.
func admits(pattern string, t proxycore.Target) bool {
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{pattern}})
	return err == nil && f.Decide(t).Allowed
}

func joinHostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}

// quote makes a pattern one word for a shell, which might expand * and [.
func quote(pattern string) string {
	if strings.ContainsAny(pattern, "*[]") {
		return "'" + pattern + "'"
	}
	return pattern
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
