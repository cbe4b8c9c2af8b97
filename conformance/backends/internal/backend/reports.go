// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"os"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance"
)

// The environment variables by which scripts/peers asks for more than a verdict.
const (
	reportsVariable    = "BACKENDS_REPORTS"     // the directory a run leaves its reports in
	selectVariable     = "BACKENDS_SELECT"      // a requirement or a check, to be run alone
	noBaselineVariable = "BACKENDS_NO_BASELINE" // anything: failures are shown as what they are
)

// Reports returns the options of every backend's run. Outside of scripts/peers there are none, but for backends whose
// whole suite takes longer than a minute: those give the patterns of the checks that are run then.
func Reports(quick ...string) []conformance.Option {
	if os.Getenv(reportsVariable) == "" && len(quick) > 0 {
		return []conformance.Option{conformance.Select(quick...)}
	}
	var options []conformance.Option
	if dir := os.Getenv(reportsVariable); dir != "" {
		options = append(options, conformance.ReportDir(dir))
	}
	if id := os.Getenv(selectVariable); id != "" {
		if !strings.Contains(id, ".") {
			id += ".*"
		}
		options = append(options, conformance.Select(id))
	}
	return options
}
