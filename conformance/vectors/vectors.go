// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package vectors holds the tables of the conformance suite as data: targets of CONNECT requests,
// whole request heads, the policies they are judged under and the names of the world they live in.
//
// It exists apart from the suite, and needs only the standard library, so that other tests can put
// the same cases to other layers of a proxy (a dry-run command, a parser, a second protocol) and hold
// their answers against each other.
//
// The expectations are those of SPEC.md; the ids in Group name its requirements.
package vectors

import (
	"fmt"
	"slices"
)

// Verdict is what a policy says of a target.
type Verdict string

// Verdicts.
const (
	Allow Verdict = "allow"
	Deny  Verdict = "deny"
)

// Vector is one CONNECT target under one policy.
type Vector struct {
	// Name identifies the vector in its group.
	Name string
	// Group is the requirement of SPEC.md the vector belongs to.
	Group string
	// Policy is a key of Policies.
	Policy string
	// Target is the exact text of the request target, any bytes.
	Target string
	// Want is the verdict.
	Want Verdict
	// Status lists the accepted statuses, the preferred one first. For Allow it is 200 alone.
	Status []int
	// Host is the Host field to send; "" means the target itself.
	Host string
	// Lookup says that the name may be resolved before the refusal: the verdict hangs on its addresses.
	Lookup bool
	// Cases are the ids of the case catalogue the vector came from.
	Cases []string
}

// ID is the vector's name with its group, unique over all tables.
func (v Vector) ID() string { return v.Group + "/" + v.Name }

// HostField is the value of the Host field that goes with the target.
func (v Vector) HostField() string {
	if v.Host != "" {
		return v.Host
	}
	return v.Target
}

// Head returns the request as it goes over the wire.
func (v Vector) Head() string {
	return "CONNECT " + v.Target + " HTTP/1.1\r\nHost: " + v.HostField() + "\r\n\r\n"
}

// Policy is a set of policy lines, and the features a proxy needs to understand them.
type Policy struct {
	Allow, Deny []string
	Features    []string
}

// Name is a name of the world with its addresses.
type Name struct {
	Host  string
	Addrs []string
}

// Targets returns all target vectors, in the order of the specification.
func Targets() []Vector {
	return slices.Concat(hostVectors(), addressVectors(), resolvedVectors(), portVectors(), featureVectors())
}

// Group returns the target vectors of one requirement; none is a programming error and panics.
func Group(id string) []Vector {
	var out []Vector
	for _, v := range Targets() {
		if v.Group == id {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		panic(fmt.Sprintf("vectors: no vector belongs to %s", id))
	}
	return out
}

var (
	forbidden = []int{403}
	malformed = []int{400}
	either    = []int{403, 400}
	oversized = []int{400, 431, 414}
	ok        = []int{200}
)

// goodHost is the Host field of vectors whose target is malformed, so that the target alone is at fault.
const goodHost = "allowed.example.com:443"

func allowed(group, policy, name, target string, cases ...string) Vector {
	return Vector{Name: name, Group: group, Policy: policy, Target: target, Want: Allow, Status: ok, Cases: cases}
}

func denied(group, policy, name, target string, status []int, cases ...string) Vector {
	v := Vector{Name: name, Group: group, Policy: policy, Target: target, Want: Deny, Status: status, Cases: cases}
	if status[0] != 403 {
		v.Host = goodHost
	}
	return v
}

func resolved(group, policy, name, target string, cases ...string) Vector {
	v := denied(group, policy, name, target, forbidden, cases...)
	v.Lookup = true
	return v
}
