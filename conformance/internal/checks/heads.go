// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
)

func headChecks() []check.Check {
	return slices.Concat(
		table("HEAD-001", "request lines that are none"),
		table("HEAD-002", "fields that are none"),
		table("HEAD-003", "line endings other than CR LF"),
		table("HEAD-004", "a missing, doubled or invalid Host field"),
		table("HEAD-005", "a CONNECT that announces a body"),
		allowedTable("HEAD-006", "heads that are unusual and valid"),
		table("HEAD-007", "heads cut short"),
		table("HEAD-008", "other protocols on the port"),
	)
}
