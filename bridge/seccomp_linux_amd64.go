// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import "golang.org/x/sys/unix"

const (
	nativeArch = unix.AUDIT_ARCH_X86_64
	// x32Bit marks the numbers of the x32 interface, which has the same architecture.
	x32Bit = 0x40000000
)

// System calls of this architecture alone, or that newer ones have no more.
var (
	archForbiddenCalls = []uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_USELIB}
	archAbsentCalls    = []uint32{
		unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE, unix.SYS__SYSCTL,
		unix.SYS_MODIFY_LDT, // for 16-bit programs
	}
)
