// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import "syscall"

// passingErrors adds Winsock's own numbers: WSAEMFILE, WSAENOBUFS.
var passingErrors = append(commonPassingErrors,
	syscall.WSAECONNRESET, syscall.WSAECONNABORTED, syscall.Errno(10024), syscall.Errno(10055))
