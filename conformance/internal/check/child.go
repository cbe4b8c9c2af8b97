// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

// Child mirrors conformance.Child.
type Child struct {
	Path string
	Args []string
}
