// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"io"
)

// badge is what shields.io reads from an endpoint: https://shields.io/badges/endpoint-badge.
type badge struct {
	SchemaVersion int    `json:"schemaVersion"`
	Label         string `json:"label"`
	Message       string `json:"message"`
	Color         string `json:"color"`
}

// WriteBadge writes badge.json, in the format of a shields.io endpoint: the specification's version and
// the verdict, nothing else.
func (r *Report) WriteBadge(w io.Writer) error {
	r = r.clean()
	b := badge{SchemaVersion: 1, Label: "egress spec " + r.Spec, Message: string(r.Verdict), Color: "lightgrey"}
	switch r.Verdict {
	case VerdictConformant:
		b.Color = "brightgreen"
	case VerdictPartial:
		b.Color = "yellow"
	case VerdictNotConformant:
		b.Color = "red"
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(b)
}
