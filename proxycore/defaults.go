// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

// DefaultDevAllowlist returns allow patterns for everyday development.
func DefaultDevAllowlist() []string { return nil }
