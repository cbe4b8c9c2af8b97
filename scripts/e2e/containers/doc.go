// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package containers holds the end-to-end tests of containers without a network: images FROM scratch with static
// programs, "sallyport attach" in them, and "sallyport proxy --control" outside, or in a container, too. They need a
// Docker engine; scripts/test starts one of its own where none runs, and without one the tests skip themselves.
package containers
