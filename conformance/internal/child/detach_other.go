// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package child

import "os/exec"

func detach(*exec.Cmd) {}
