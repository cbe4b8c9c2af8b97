// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// refuseUnjudged is for programs that match names and addresses as text, and never
// see what addresses a name has.
func (r *rendering) refuseUnjudged() {
	for _, rule := range presetrules.Names(r.rules.Allow) {
		if !r.policy.GuardElsewhere {
			r.refuse(rule.Pattern, "it does not judge the addresses that a name has, so the name may lead into the local network; "+
				"put the built-in filter in front of it (Unfiltered), or set GuardElsewhere if something else guards them")
			continue
		}
		if rule.Form != proxycore.FormName && rule.Form != proxycore.FormAnyName {
			for _, name := range proxycore.MetadataNames() {
				if presetrules.Within(rule, name) {
					r.refuse(rule.Pattern, "it cannot except "+name+" from it, which no wildcard admits; list the names")
				}
			}
		}
	}
}

// refuseDenials refuses the deny patterns that would have to take something from what
// is allowed. The others need not be written down.
func (r *rendering) refuseDenials(reason string) {
	for _, d := range r.rules.Deny {
		for _, a := range r.rules.Allow {
			if presetrules.Meet(a, d) {
				r.refuse(d.Pattern, reason+", and "+a.Pattern+" admits what this denies; allow less")
				break
			}
		}
	}
}
