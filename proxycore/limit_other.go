// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package proxycore

// defaultMaxConns is a bound for systems that have no descriptor limit to ask.
func defaultMaxConns() int { return 16384 }
