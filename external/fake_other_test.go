// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package external

import (
	"net"
	"syscall"
)

func ownSession() *syscall.SysProcAttr { return nil }

func listenWithoutReuse(port string) net.Listener { return listen("127.0.0.1", port) }

func listenShared(port string) net.Listener { return listen("127.0.0.1", port) }
