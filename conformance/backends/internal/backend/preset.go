// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/external"
)

// Preset is the program that the preset name of external has words for, with c's policy in them. more, if not nil,
// adds to the policy. The error is that of the preset where its program cannot express the policy exactly: the suite
// takes it for what it is, a refusal.
func Preset(name string, c conformance.Config, more func(*external.Policy)) (external.Spec, error) {
	if err := Plain(c); err != nil {
		return external.Spec{}, err
	}
	preset, err := external.LookupPreset(name)
	if err != nil {
		return external.Spec{}, err
	}
	policy := external.Policy{Allow: c.Allow, Deny: c.Deny}
	if more != nil {
		more(&policy)
	}
	return preset.Spec(policy)
}

// Seconds is d in whole seconds, rounded up, as configuration files want it.
func Seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
