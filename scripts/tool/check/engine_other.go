// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "syscall"

// dieWithUs does nothing: there is no dockerd but on Linux.
func dieWithUs(*syscall.SysProcAttr) {}
