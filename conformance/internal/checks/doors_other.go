// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package checks

import (
	"os/exec"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
)

// There are no sandboxes here, and nothing that is about them is ever carried out.

type pathWitness struct{}

func listenPath(x *check.X, _, _ string) *pathWitness {
	x.Abort("this takes Linux")
	return nil
}

func (*pathWitness) came(*check.X) int { return 0 }

func keys(x *check.X) { x.Abort("this takes Linux") }

func terminal(x *check.X) { x.Abort("this takes Linux") }

func ownTerminal(*exec.Cmd) {}
