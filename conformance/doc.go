// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package conformance says of an egress proxy, and of the sandbox around it, whether it really holds.
package conformance
