// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package rerun

import "os/exec"

// tie has no counterpart here, where there is no fake Internet either.
func tie(*exec.Cmd) {}
