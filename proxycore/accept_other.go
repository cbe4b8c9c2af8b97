// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package proxycore

var passingErrors = commonPassingErrors
