// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Values of [Record.Decision].
const (
	// DecisionAllow says that the policy admitted the request. Reason is empty
	// when the tunnel ended by itself, and otherwise says what went wrong after
	// the policy: dns_error, dial_error, dial_timeout, policy_closed.
	DecisionAllow = "allow"
	// DecisionDeny says that the request was refused; Reason says why.
	DecisionDeny = "deny"
)

// Values of [Record.Method] that are no request methods.
const (
	// MethodTCP is that of a captured connection; see [Capture].
	MethodTCP = "TCP"
	// MethodDNS is that of a DNS query that was refused. A query that is answered
	// has no record: the connection that follows has.
	MethodDNS = "DNS"
)

// Record is the account of one request. Exactly one is handed to
// [Config].Record for each request, when it is over.
//
// It carries nothing that the client sent and the proxy could not parse: no
// credentials, no header, and Host is the canonical form that the policy judged.
type Record struct {
	// Time is when the request's connection was accepted.
	Time time.Time
	// Sandbox is the [Listening].Name of the listener that accepted it.
	Sandbox string
	// Client is the peer's address, "" when it has none (an unnamed Unix socket).
	Client string
	// Method is the request's method, "" when none could be parsed, or else
	// [MethodTCP] or [MethodDNS].
	Method string
	// Host is the target's canonical name or address, "" when none could be parsed.
	Host string
	// Port is the target's port, 0 when none could be parsed and for [MethodDNS].
	Port uint16
	// Address is the IP:port that the tunnel was connected to, "" when none was.
	// Behind an upstream it is the one the upstream was asked for, "" when that
	// was asked for a name.
	Address string
	// Upstream is [Upstream.String] of the proxy that the request went through, ""
	// when it went through none: a direct one, and one that the policy refused.
	Upstream string
	// UpstreamStatus is the HTTP status of the upstream's reply, 0 when there was
	// none: it did not answer, not with HTTP, or it speaks SOCKS.
	UpstreamStatus int
	// Decision is [DecisionAllow] or [DecisionDeny].
	Decision string
	// Reason says why the request was refused, failed or cut; "" when none of these.
	Reason Reason
	// Rule is the text of the pattern that decided, "" when none matched.
	Rule string
	// BytesUp and BytesDown count the tunnel's bytes delivered to the origin and
	// to the client. The request's head and the proxy's own reply are not counted.
	BytesUp, BytesDown int64
	// Duration runs from Time to the end of the request.
	Duration time.Duration
}

// recordJSON fixes the keys of a log line and their order.
type recordJSON struct {
	Time      string  `json:"time"`
	Sandbox   string  `json:"sandbox"`
	Client    string  `json:"client"`
	Method    string  `json:"method"`
	Host      string  `json:"host"`
	Port      uint16  `json:"port"`
	Address   string  `json:"address"`
	Upstream  string  `json:"upstream"`
	Status    int     `json:"upstream_status"`
	Decision  string  `json:"decision"`
	Reason    Reason  `json:"reason"`
	Rule      string  `json:"rule"`
	BytesUp   int64   `json:"bytes_up"`
	BytesDown int64   `json:"bytes_down"`
	Duration  float64 `json:"duration"`
}

// MarshalJSON gives one log line's object. Every key is always present:
// time (RFC 3339, UTC), sandbox, client, method, host, port, address, upstream,
// upstream_status, decision, reason, rule, bytes_up, bytes_down, duration (seconds).
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(recordJSON{
		Time:      r.Time.UTC().Format(time.RFC3339Nano),
		Sandbox:   r.Sandbox,
		Client:    r.Client,
		Method:    r.Method,
		Host:      r.Host,
		Port:      r.Port,
		Address:   r.Address,
		Upstream:  r.Upstream,
		Status:    r.UpstreamStatus,
		Decision:  r.Decision,
		Reason:    r.Reason,
		Rule:      r.Rule,
		BytesUp:   r.BytesUp,
		BytesDown: r.BytesDown,
		Duration:  r.Duration.Seconds(),
	})
}

// setTarget fills in the parsed target.
func (r *Record) setTarget(t Target) {
	r.Host, r.Port = t.Host, t.Port
	if r.Host == "" && t.Addr.IsValid() {
		r.Host = t.Addr.String()
	}
}

// setAddress fills in the address the tunnel goes to.
func (r *Record) setAddress(ap netip.AddrPort) {
	if ap.IsValid() {
		r.Address = ap.String()
	}
}

// record hands in the connection's record, once.
func (c *conn) record() {
	if c.recorded {
		return
	}
	c.recorded = true
	c.rec.Duration = time.Since(c.rec.Time)
	if c.s.cfg.Record == nil {
		return
	}
	c.s.mu.Lock()
	c.state = stateRecord
	c.s.mu.Unlock()
	if err := c.s.callRecord(c.rec); err != nil {
		c.s.fail(recordError(err))
	}
}

// recordError is why a server ends whose records cannot be kept.
func recordError(err error) error {
	return fmt.Errorf("proxycore: the record of a request could not be kept, so no further request is served: %w", err)
}

// callRecord calls Config.Record.
func (s *Server) callRecord(r Record) (err error) {
	s.recordMu.Lock()
	defer s.recordMu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.cfg.Record(r)
}
