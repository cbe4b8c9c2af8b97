// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package oracle turns evidence into verdicts. It is pure: what it says depends on its arguments alone,
// so that its tables can be tested with evidence no proxy would ever produce.
package oracle

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Kind names the witness a finding rests on.
type Kind string

// Kinds of evidence.
const (
	ClientStatus Kind = "client-status" // the proxy's answer: status, or none
	ClientAnswer Kind = "client-answer" // the rest of the answer: fields, body
	ClientStream Kind = "client-stream" // what the client received in a tunnel, and how it ended
	OriginDial   Kind = "origin-dial"   // an origin was connected to, or a packet was sent to it
	OriginStream Kind = "origin-stream" // what the origin received in a tunnel, and how it ended
	DNSQuery     Kind = "dns-query"     // the name server was asked
	Control      Kind = "control"       // what has to work in the same instance did not
	Lifecycle    Kind = "lifecycle"     // start, stop, address, death
	Socket       Kind = "socket"        // a file at a socket's path
	Kernel       Kind = "kernel"        // sockets the kernel still holds
	Sandbox      Kind = "sandbox"       // what a program inside the sandbox could do
	Upstream     Kind = "upstream"      // what the upstream proxy saw, or did not
	Process      Kind = "process"       // status, streams and life of the command in the sandbox
)

// Finding is one thing that speaks against the subject.
type Finding struct {
	Kind Kind
	Text string
}

// Evidence is what both witnesses saw of one request.
type Evidence struct {
	// Status of the answer, 0 when there was none.
	Status int
	// Ended: no answer, and the connection was ended. TimedOut: no answer at all in time.
	Ended, TimedOut bool
	// Unreached: the proxy did not take the connection, so that the request was never made.
	Unreached bool
	// Echo: bytes went through the tunnel and came back.
	Echo bool
	// Dials are the addresses connected to or attempted; Queries the questions to the name server.
	Dials   []netip.AddrPort
	Queries []string
	// Answer is the answer in words, for the finding's text.
	Answer string
}

// Expectation is what a requirement says about one request.
type Expectation struct {
	// Status lists the accepted statuses.
	Status []int
	// MayClose accepts the end of the connection in place of an answer.
	MayClose bool
	// Lookup accepts queries to the name server.
	Lookup bool
	// Reach lists the addresses one of which an allowed request must reach; it may reach no other.
	Reach []netip.AddrPort
}

// Contained judges a refusal by what reached the world, and by the client only so far that no tunnel
// may have opened. It says nothing of how the proxy puts its refusal.
func Contained(e Evidence, x Expectation) []Finding {
	var out []Finding
	if e.Unreached {
		out = append(out, Finding{Control, "the proxy cannot be reached: " + e.Answer})
	}
	if len(e.Dials) > 0 {
		out = append(out, Finding{OriginDial, "reached " + join(e.Dials)})
	}
	if len(e.Queries) > 0 && !x.Lookup {
		out = append(out, Finding{DNSQuery, "asked for " + strings.Join(e.Queries, ", ")})
	}
	if e.Status/100 == 2 {
		out = append(out, Finding{ClientStatus, fmt.Sprintf("answered %d", e.Status)})
	}
	return out
}

// Answered judges the answer to a refused request by the client alone.
func Answered(e Evidence, x Expectation) []Finding {
	if e.Unreached {
		return []Finding{{Control, "the proxy cannot be reached: " + e.Answer}}
	}
	if slices.Contains(x.Status, e.Status) || (x.MayClose && e.Status == 0 && e.Ended) {
		return nil
	}
	return []Finding{{ClientStatus, fmt.Sprintf("got %s, want %s", e.Answer, want(x))}}
}

// Allowed judges a request that the policy allows: a tunnel that carries bytes, to the right origin.
func Allowed(e Evidence, x Expectation) []Finding {
	if e.Unreached {
		return []Finding{{Control, "the proxy cannot be reached: " + e.Answer}}
	}
	if !slices.Contains(x.Status, e.Status) {
		return []Finding{{ClientStatus, fmt.Sprintf("got %s, want %s", e.Answer, want(x))}}
	}
	if !e.Echo {
		return []Finding{{ClientStream, "the tunnel carries nothing"}}
	}
	reached := false
	for _, d := range e.Dials {
		if !slices.Contains(x.Reach, d) {
			return []Finding{{OriginDial, "reached " + d.String()}}
		}
		reached = true
	}
	if !reached {
		return []Finding{{OriginDial, "reached no origin, though an echo came back"}}
	}
	return nil
}

func want(x Expectation) string {
	var parts []string
	for _, s := range x.Status {
		parts = append(parts, fmt.Sprint(s))
	}
	if x.MayClose {
		parts = append(parts, "the end of the connection")
	}
	return strings.Join(parts, " or ")
}

func join(addrs []netip.AddrPort) string {
	var parts []string
	for i, a := range addrs {
		if i == 4 {
			parts = append(parts, fmt.Sprintf("and %d more", len(addrs)-i))
			break
		}
		parts = append(parts, a.String())
	}
	return strings.Join(parts, ", ")
}
