// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package proxycore

import "net"

// inForeignNamespace is always false where there are no network namespaces.
func inForeignNamespace(net.Listener) bool { return false }
