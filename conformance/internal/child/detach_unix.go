// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
