// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

// Bouquet is what child processes need to know about a proxy.
type Bouquet struct {
	ProxyURL, CABundle, NoProxy string
}

// Environ returns base with the bouquet's variables set.
func Environ(base []string, b Bouquet) []string { return base }
