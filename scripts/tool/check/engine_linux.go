// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "syscall"

// dieWithUs lets a daemon end when this process does, however it does: the thread that starts it must live as long.
func dieWithUs(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
