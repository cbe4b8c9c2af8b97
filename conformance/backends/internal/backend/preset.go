// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/external"
)

// Preset is the program that the preset of a name configures for policy. What the preset cannot express exactly is an
// error, which the suite takes for what it is: a refusal of c.
func Preset(name string, c conformance.Config, policy external.Policy) (external.Spec, error) {
	if err := Plain(c); err != nil {
		return external.Spec{}, err
	}
	preset, err := external.LookupPreset(name)
	if err != nil {
		return external.Spec{}, err
	}
	return preset.Spec(policy)
}
