// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package rerun

import (
	"os/exec"
	"syscall"
)

// tie gives the child a process group of its own, since one that shares the terminal's takes a SIGQUIT for a key that
// everybody has seen and does not pass it on, and ties its life to this process.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
