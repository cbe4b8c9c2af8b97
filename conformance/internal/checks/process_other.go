// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package checks

import (
	"errors"
	"os/exec"
)

func signalOf(*exec.ExitError) int { return 0 }

func leakDescriptor() (func(), error) { return nil, errors.ErrUnsupported }
