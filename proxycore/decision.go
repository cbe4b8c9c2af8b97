// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

// Reason says why a request was refused. The strings are stable: they stand in
// the decision log, in the body of a refusal and in its Proxy-Status header,
// so scripts may match on them. The empty Reason means "not refused".
type Reason string

// The reasons, in the order in which a request can meet them.
const (
	// MalformedRequest: the request head or its target is not valid; nothing
	// in it was evaluated. Status 400, 408 or 431.
	MalformedRequest Reason = "malformed_request"
	// MethodNotAllowed: a method other than CONNECT. Status 405.
	MethodNotAllowed Reason = "method_not_allowed"
	// AuthRequired: the proxy wants credentials and got none it knows. Status 407.
	AuthRequired Reason = "auth_required"
	// LimitExceeded: more connections than the server or the listener may hold
	// (status 503), or a query for more names than a sandbox may have addresses for.
	LimitExceeded Reason = "limit_exceeded"
	// DeniedByRule: a deny pattern matched, whatever the allow patterns say. Status 403.
	DeniedByRule Reason = "denied_by_rule"
	// HostNotAllowed: no allow pattern names the host. Status 403.
	HostNotAllowed Reason = "host_not_allowed"
	// PortNotAllowed: an allow pattern names the host, but not this port. Status 403.
	PortNotAllowed Reason = "port_not_allowed"
	// AddressNotAllowed: the target is an address no pattern admits, or the name
	// resolved to a special-purpose address no pattern admits. Status 403.
	AddressNotAllowed Reason = "address_not_allowed"
	// DNSError: an allowed name did not resolve. Status 502.
	DNSError Reason = "dns_error"
	// DialError: no checked address accepted the connection. Status 502.
	DialError Reason = "dial_error"
	// DialTimeout: no checked address answered in time. Status 504.
	DialTimeout Reason = "dial_timeout"
	// PolicyClosed: a live tunnel was cut because a new filter refuses it.
	PolicyClosed Reason = "policy_closed"
)

// Decision is a filter's verdict on one target. The zero value is a refusal
// without a reason, which no method of [Filter] returns.
type Decision struct {
	// Allowed is true when the target may be reached.
	Allowed bool
	// Reason says why not; it is empty when Allowed.
	Reason Reason
	// Rule is the pattern that decided, as the user wrote it without the blanks
	// around it: the allow pattern that matched, the deny pattern that matched,
	// or, with PortNotAllowed, a pattern that names the host with other ports.
	// It is "" when no single pattern decided.
	Rule string
}
