// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import "golang.org/x/sys/unix"

const (
	nativeArch = unix.AUDIT_ARCH_AARCH64
	x32Bit     = 0 // there is none
)

// This architecture began without what is refused on older ones.
var archForbiddenCalls, archAbsentCalls []uint32
